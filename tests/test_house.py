import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("kernels", "io", "engine")
SOURCES = sorted([*ROOT.glob("*.py"), *(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def module(path):
    """Return the dotted name a source file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["highwater", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def python(code, where):
    """Return what a fresh interpreter prints, started in ``where``."""
    done = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def forbidden(tree):
    """Yield what the house does not allow in a source file, as 'line: what'."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("fastmath", "allow_pickle", "hive_partitioning"):
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield f"{node.lineno}: {node.arg}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.search(r"hive_partitioning\s*=\s*(true|1)", node.value, re.IGNORECASE):
                yield f"{node.lineno}: hive_partitioning"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            absolute = isinstance(node, ast.Import) or node.level == 0
            for name in names:
                if absolute and name.split(".")[0] in ("pickle", "marshal", "shelve", "highwater"):
                    yield f"{node.lineno}: import {name}"


def test_packages_are_the_tree():
    packages = {module(path.parent / "__init__.py") for path in SOURCES}

    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages
    assert all((path.parent / "__init__.py").is_file() for path in SOURCES)


def test_the_root_holds_two_modules_and_tests_are_no_package():
    assert {"__init__.py", "__main__.py"} == {path.name for path in ROOT.glob("*.py")}
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_files_stay_readable():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}

    assert {} == {name: lines for name, lines in long.items() if lines > 400}


def test_sources_use_nothing_forbidden():
    found = [f"{path.relative_to(ROOT)}:{what}" for path in SOURCES for what in forbidden(ast.parse(path.read_text()))]

    assert [] == found


@pytest.mark.parametrize(
    "code",
    [
        "njit(fastmath=True)",
        "np.load(path, allow_pickle=flag)",
        "sql('read_parquet(f, HIVE_PARTITIONING = 1)')",
        "import pickle",
        "from pickle import loads",
        "from highwater.io import errors",
    ],
)
def test_the_forbidden_is_found(code):
    assert 1 == len(list(forbidden(ast.parse(code))))


def test_importing_highwater_imports_neither_numpy_nor_numba(tmp_path):
    code = (
        "import sys, highwater; print(sorted({'numpy', 'numba', 'pyarrow', 'pydantic', 'pandas'} & set(sys.modules)))"
    )

    assert "[]" == python(code, tmp_path)


def test_help_needs_no_settings_of_sessions_and_no_calendar(tmp_path):
    code = "import sys\nfrom highwater.__main__ import _run\nsys.argv = ['highwater', '--help']\n_run()\n"
    code += "print(sorted({'numba', 'pydantic', 'pandas', 'exchange_calendars'} & set(sys.modules)))"

    assert "[]" == python(code, tmp_path).splitlines()[-1]


def test_io_needs_no_kernel(tmp_path):
    names = [module(path) for path in SOURCES if path.is_relative_to(ROOT / "io")]
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
    code += "print(*sorted(m for m in sys.modules if m == 'numba' or m.startswith('highwater.kernels.')))"

    assert "highwater.kernels.arrays" == python(code, tmp_path)


@pytest.mark.parametrize("path", LOCKS, ids=[path.stem for path in LOCKS])
def test_every_locked_version_has_a_hash_and_no_address(path):
    lock = path.read_text()
    versions = re.split(r"\n(?=\S)", lock.strip())

    assert [] == [text.split()[0] for text in versions if "--hash=sha256:" not in text or "==" not in text]
    assert not re.search("https?:|file:|--index|--find-links", lock)


def test_the_lock_has_every_dependency():
    asked = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    asked += [each for extra in PROJECT["project"].get("optional-dependencies", {}).values() for each in extra]
    names = {re.split(r"[^A-Za-z0-9._-]", each)[0].lower().replace("_", "-") for each in asked}

    assert names <= set(re.findall(r"^[\w.-]+", LOCK, re.MULTILINE))


def test_tracked_files_name_no_machine():
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("git does not list this checkout")
    names = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    local = re.compile(rb"(?<![\w.])/(?:home|root|Users|work|mnt)/\w|[A-Z]:\\Users")

    assert [] == [name for name in names if local.search((ROOT / name).read_bytes())]
    assert not {"uv.lock", "pylock.toml"} & set(names)


def test_the_wheel_holds_the_packages_and_no_tests(tmp_path):
    tree = tmp_path / "any name"
    for floor in (*FLOORS, "tests"):
        shutil.copytree(ROOT / floor, tree / floor, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "__main__.py", "pyproject.toml", "py.typed", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree)
    python(f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})", tree)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    data = {"highwater/py.typed", "highwater/kernels/SEMANTICS.md", "highwater/kernels/SESSIONS.md"}
    data |= {"highwater/engine/dashboard/.streamlit/config.toml"}
    data |= {f"highwater/engine/report/page/{name}" for name in ("page.html", "script.js", "style.css")}

    assert {f"highwater/{path.relative_to(ROOT).as_posix()}" for path in SOURCES} | data == packed
