"""Targets of the fuzzer: parsers, seed files and tokens."""

import contextlib
from dataclasses import dataclass, field

JSON_TOKENS = [b"null", b"true", b"-1", b"1e999", b"NaN", b'""', b"[]", b"{}"]
JSON_TOKENS += [b'"../../x"', b"[" * 2000, b"9" * 400, b'"\\ud800"', b"1.5"]
CSV_TOKENS = [b'"', b",", b"\r", b"\x00", b"\xef\xbb\xbf", b"../" * 99, b"nan"]
CSV_TOKENS += [b"x" * 140_000, b"inf", b"\xff", b";", "‮é".encode()]
YAML_TOKENS = [b" --", b"=", b"&a ", b"*a", b"!ref <lr>", b"[", b"{", b"'"]
YAML_TOKENS += [b"? ", b"- ", b"<<: ", b"|\n", b"null", b"1e999", b"0x1F"]
NAME_TOKENS = [b"..", b"/", b"\\", b"\x00", b"%", b"\xf0\x9f\x98\x80" * 60]


@dataclass
class Target:
    """A parser.

    Arguments
    ---------
    read : callable
        Reads bytes; a documented error is a return.
    seeds : list of bytes
        Valid files to begin from.
    tokens : list of bytes
        Bytes worth inserting into a file.
    """

    read: callable
    seeds: list
    tokens: list = field(default_factory=list)


def documented(*errors):
    """A decorator for the documented errors of a parser."""

    def wrap(read):
        def quiet(content):
            with contextlib.suppress(*errors):
                read(content)

        return quiet

    return wrap
