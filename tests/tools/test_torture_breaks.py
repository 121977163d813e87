"""The table of ``make torture ARGS=breaks`` fits the code and the tests."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from torture_breaks import broken, broken_code, table  # noqa: E402

PROMISES = {one["promise"]: one for one in table()}


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_can_be_broken(promise):
    one = PROMISES[promise]
    text = broken(ROOT, one)
    compile(text, one["file"], "exec")
    assert text != (ROOT / one["file"]).read_text(encoding="utf-8")
    path, _, name = one["test"].partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not name or f"def {name}(" in source


@pytest.mark.parametrize("keeps, code", [(True, 0), (False, 1)])
def test_a_broken_promise_fails_its_test(tmp_path, keeps, code):
    copy = tmp_path / "checkout"
    copy.mkdir()
    (copy / "code.py").write_text("def kept():\n    return True\n")
    (copy / "test_code.py").write_text(
        "import runpy\n\n\ndef test_kept():\n"
        "    assert runpy.run_path('code.py')['kept']()\n"
    )
    one = {
        "file": "code.py",
        "old": "return True",
        "new": f"return {keeps} or {keeps}",
        "test": "test_code.py",
    }
    assert broken_code(copy, one) == code
    assert "return True\n" in (copy / "code.py").read_text()
