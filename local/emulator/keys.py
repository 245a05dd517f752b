"""Creates and reads the credentials of a data folder's emulator, known only to this project's processes."""

import configparser
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

FILE = "emulator.credentials"  # in the format of AWS_SHARED_CREDENTIALS_FILE, for the AWS SDK and command line
_PROFILE, _ID, _SECRET = "default", "aws_access_key_id", "aws_secret_access_key"


@dataclass(frozen=True)
class Keys:
    """A key with all permissions on the emulator, and the keys derived from it for the functions."""

    access_key_id: str
    secret: str

    @property
    def word(self) -> str:
        """The launcher's token for calls without an AWS signature: requests of the API, and its own queries."""
        return self._derived("word")

    def of_function(self, function_arn: str, role_arn: str) -> tuple[str, str, str]:
        """Return access key id, secret and session token of a function in its role, the same in every run."""
        identity = f"{function_arn}\n{role_arn}"
        access_key_id = f"ASIA{self._derived(f'id {identity}')[:16].upper()}"
        return access_key_id, self._derived(f"secret {identity}"), self._derived(f"token {identity}")

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def kept(data_dir: Path) -> Keys:
    """Return the keys of `data_dir`, created if missing. Raises ValueError for an unusable file."""
    file = data_dir / FILE
    if not file.is_file():
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            made = Keys(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(32))
            out.write(f"[{_PROFILE}]\n{_ID} = {made.access_key_id}\n{_SECRET} = {made.secret}\n")
        new.replace(file)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(file.read_text("utf-8"))
        found = Keys(parser.get(_PROFILE, _ID), parser.get(_PROFILE, _SECRET))
    except (configparser.Error, ValueError) as unfit:
        raise ValueError(f"{file} must hold {_ID} and {_SECRET}; delete it to have new ones made.") from unfit
    if len(found.access_key_id) < 16 or len(found.secret) < 32:
        raise ValueError(f"{file} holds a key that is too short; delete it to have new ones made.")
    return found


def private_folder(folder: Path) -> None:
    """Create the folder, or restrict it to its owner. Raises OSError, and ValueError if it is not ours alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name != "posix":  # on other systems the user's profile decides
        return
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise ValueError("it belongs to another user")
    if found.st_mode & 0o1000:
        raise ValueError("it is a folder that users share")
    folder.chmod(0o700)
