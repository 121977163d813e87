"""Corrupted files for the fuzzer, made from valid ones."""

import json

LONGEST = 400_000  # bytes of a case
# What a JSON file may hold in place of what belongs there.
VALUES = [None, True, False, 0, -1, 1.5, 10**30, 2**63, -(2**31), 1e308]
VALUES += [float("nan"), float("inf"), "", "a", "0", "-1", "null", "[]", "{}"]
VALUES += ["[[1]]", "1e999", "NaN", "../../x", "/etc/passwd", "\x1b[2J", "\0"]
VALUES += ["\ud800", "é" * 300, [], {}, [[]], [None], {"a": []}, [1] * 300]
VALUES += ["[" * 5000, [-1], ["a", "a"], {"": 1}, {"../x": "y"}, [1e308] * 2]


class Cases:
    """Draw corrupted files of a target.

    Arguments
    ---------
    target : fuzz_files.Target
        The target whose seeds are corrupted.
    random : random.Random
        Source of all choices; the same numbers give the same files.
    """

    def __init__(self, target, random):
        self.target = target
        self.random = random

    def draw(self):
        """The next file, as bytes."""
        content = self.random.choice(self.target.seeds)
        found = json_within(content)
        if found is not None and self.random.random() < 0.6:
            content = self._other_json(*found)
            if self.random.random() < 0.8:
                return content[:LONGEST]
        content = bytearray(content)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            self._edit(content)
        return bytes(content[:LONGEST])

    def _edit(self, content):
        """Change some bytes."""
        start = self.random.randint(0, len(content))
        end = min(len(content), start + self.random.choice((1, 2, 4, 16, 400)))
        kind = self.random.randrange(7)
        if kind == 0 and content:
            place = self.random.randrange(len(content))
            content[place] ^= 1 << self.random.randrange(8)
        elif kind == 1:
            content[start:end] = bytes(
                self.random.randrange(256) for _ in range(end - start)
            )
        elif kind == 2:
            del content[start:end]
        elif kind == 3:
            content[start:start] = content[start:end] * self.random.choice(
                (1, 2, 50)
            )
        elif kind == 4:
            del content[start:]
        elif kind == 5:
            other = self.random.choice(self.target.seeds)
            place = self.random.randint(0, len(other))
            content[start:] = other[place:]
        else:
            insert = self.random.random() < 0.5
            token = self.random.choice(self.target.tokens or [b"\0"])
            content[start : start if insert else end] = token

    def _other_json(self, before, tree, after, prefixed):
        """The file with another value somewhere in its JSON."""
        for _ in range(self.random.choice((1, 1, 2, 4))):
            tree = self._replaced(tree)
        text = json.dumps(tree).encode()
        if prefixed:
            before = len(text).to_bytes(8, "little")
        return before + text + after

    def _replaced(self, tree):
        """A copy with one node replaced, removed or doubled."""
        if not tree or self.random.random() < 0.15:
            return self.random.choice(VALUES)
        if isinstance(tree, dict):
            name = self.random.choice(list(tree))
            changed = dict(tree)
            kind = self.random.random()
            if kind < 0.15:
                del changed[name]
            elif kind < 0.25:
                other = self.random.choice(VALUES)
                changed[str(other)] = changed.pop(name)
            else:
                changed[name] = self._replaced(tree[name])
            return changed
        if isinstance(tree, list):
            place = self.random.randrange(len(tree))
            if self.random.random() < 0.2:
                return tree[:place] + tree[place + 1 :]
            if self.random.random() < 0.1:
                return tree + tree[place:]
            return [
                self._replaced(one) if at == place else one
                for at, one in enumerate(tree)
            ]
        return self.random.choice(VALUES)


def json_within(content):
    """JSON at the beginning of a file, or behind its length as safetensors.

    Returns
    -------
    tuple or None
        What is before it, the object, what follows, whether its length is
        before it.
    """
    length = int.from_bytes(content[:8], "little")
    is_header = content[8:9] == b"{" and length < len(content)
    start, end = (8, 8 + length) if is_header else (0, len(content))
    try:
        tree = json.loads(content[start:end])
    except ValueError:
        return None
    return content[:start], tree, content[end:], is_header
