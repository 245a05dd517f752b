"""Guards of variants on delivery and of signed links."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

LINKS: Final = "domain/links.py"
VARIANTS: Final = "usecases/delivery.py"
FILES: Final = "api/routes/files.py"
BY_LINK: Final = "api/test_links.py"
ON_DELIVERY: Final = "api/test_delivery.py"

DELIVERY: Final = (
    Mutation("a link works for ever", LINKS, "if not now < int(expires[0]) <= now", "if not now <= now", (BY_LINK,)),
    Mutation("a link may end in a hundred years", LINKS, "now + MAX_SECONDS + SKEW_SECONDS", "9e99", (BY_LINK,)),
    Mutation(
        "any signature holds",
        LINKS,
        'return hmac.compare_digest(_signature(key.secret, path, sent).encode(), claim.sig.encode("utf-8", "replace"))',
        "return True",
        (BY_LINK,),
    ),
    Mutation(
        "a signature is over the known parameters alone",
        LINKS,
        'if name != "sig")',
        'if name in ("w", "kid", "expires"))',
        (BY_LINK,),
    ),
    Mutation("a replaced key signs for ever", "usecases/links.py", "not key.valid(now) or ", "", (BY_LINK,)),
    Mutation(
        "a link opens every route",
        "api/app.py",
        "if route.linked and is_signed(call.path, call.query):",
        "if call.query.get('sig'):",
        (BY_LINK,),
    ),
    Mutation(
        "the authorizer lets any path with a signature pass",
        LINKS,
        "return path.startswith(PATH) and not NAMES.isdisjoint(query)",
        "return not NAMES.isdisjoint(query)",
        ("handlers/test_handlers.py",),
    ),
    Mutation(
        "variants are stored without a bound",
        VARIANTS,
        "for oldest in others[: max(0, len(others) - MAX_VARIANTS + 1)]:",
        "for oldest in []:",
        (ON_DELIVERY,),
    ),
    Mutation(
        "a variant outlives an image that is deleted meanwhile",
        VARIANTS,
        "if image.key not in deps.blobs.names(image.key):",
        "if False:",
        (ON_DELIVERY,),
    ),
    Mutation(
        "variants outlive their image",
        "usecases/jobs/delete_image.py",
        "deps.blobs.delete_all(ids.variants_prefix(tenant, image.id))",
        "pass",
        (ON_DELIVERY,),
    ),
    Mutation("computing is free", FILES, "headers |= limits.count(call)", "pass", (ON_DELIVERY,)),
    Mutation(
        "an image of another project is handed out",
        FILES,
        'if (image.project_id, image.provider) != (call.params["project_id"], call.params["provider"]):',
        "if False:",
        (BY_LINK,),
    ),
)
