"""Addresses that must not be reached: private in every form, malformed, or ambiguous."""

from __future__ import annotations

PRIVATE = """
    https://127.0.0.1/ https://127.1/ https://127.0.1/ https://2130706433/ https://0x7f000001/ https://0x7f.0.0.1/
    https://0177.0.0.1/ https://017700000001/ https://0/ https://0.0.0.0/ https://10.0.0.1/ https://172.16.0.1/
    https://192.168.1.1/ https://100.64.0.1/ https://169.254.169.254/ https://169.254.170.2/ https://0xa9fea9fe/
    https://2852039166/ https://192.0.0.8/ https://192.0.0.9/ https://192.0.0.170/ https://192.88.99.1/
    https://198.18.0.1/ https://203.0.113.1/ https://224.0.0.1/ https://224.0.1.1/ https://239.255.255.250/
    https://240.0.0.1/ https://255.255.255.255/ https://[::1]/ https://[::]/ https://[::127.0.0.1]/
    https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::ffff:169.254.169.254]/
    https://[0:0:0:0:0:ffff:10.0.0.1]/ https://[64:ff9b::127.0.0.1]/ https://[64:ff9b::a9fe:a9fe]/
    https://[64:ff9b:1::7f00:1]/ https://[2002:7f00:1::]/ https://[2002:a9fe:a9fe::]/ https://[2001:0:7f00:1::]/
    https://[2001:db8::1]/ https://[3fff::1]/ https://[fe80::1]/ https://[fc00::1]/ https://[fd00:ec2::254]/
    https://[fec0::1]/ https://[ff02::1]/ https://[100::1]/ https://[5f00::1]/ https://localhost/
    https://LOCALHOST./ https://localhost.localdomain/
""".split()  # noqa: SIM905  a list would take a line for each
MALFORMED = """
    image.png //8.8.8.8/ https:// https:///x https://[ https://8.8.8.8:99999/ https://8.8.8.8:x/ http://8.8.8.8/
    ftp://8.8.8.8/ file:///proc/self/environ data:image/png;base64,AAAA gopher://8.8.8.8/ https://8.8.8.8:9001/
    https://8.8.8.8:22/ https://user@8.8.8.8/ https://u:p@8.8.8.8/ https://@8.8.8.8/ https://[fe80::1%25eth0]/
    https://%31%32%37.0.0.1/ jar:https://8.8.8.8/!/ https://[::1 https://[127.0.0.1]/
""".split()  # noqa: SIM905  a list would take a line for each
# With blanks, control characters, and what Unicode folds into digits, dots and letters.
ODD = [
    "https://\uff11\uff12\uff17.0.0.1/",
    "",
    "https://a\\@8.8.8.8/",
    "https://8.8.8.8\\@127.0.0.1/",
    "https://a.example\\.b.example/",
    "https://8.8.8.8\t/",
    "https://8.8.8.8\r\nX: y/",
    "https://8.8.8.8 /",
    "https://8.8.8.8\x00/",
    "https://127\u30020\u30020\u30021/",
    "https://\u24dbocalhost/",
    "https://8.8.8.8/\x7f",
]
