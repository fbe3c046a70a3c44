"""The house: who may import whom, what is loaded when, what is declared, what ships."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "attribeval"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Each room may import the rooms before it, never those after it, inside functions neither (see CONTRIBUTING).
GROUND = ["errors", "files", "progress", "_lazy", "_tf", "quiet", "importable", "sealed", "plugins"]
FLOORS = [
    ["datasets", "common", "results", "attributions"],
    [
        "models",
        "scores",
        "methods",
        "backends",
        "micro_batches",
        "collected",
        "predictor",
        "question",
        "explaining",
        "attributer",
        "concepts",
        "training",
    ],
    ["metrics", "runs", "benchmarks"],
    ["evaluator"],
]
ORDER = [*GROUND, *(room for floor in FLOORS for room in floor)]
PEOPLE = {"report", "plots", "cli", "crosscheck", "selftest", "explain_files", "map_folder", "map_rows", "__main__"}
# What a user calls on an object that he has: pictures and pages of it. They are loaded when they are asked for.
CONVENIENCE = {
    "attributer.py": {"report"},  # how a notebook shows it
    "attributions/__init__.py": {"plots", "report", "map_rows"},  # plot, table, and in a notebook
    "concepts/discovery/found.py": {"plots", "report"},  # plot, and in a notebook
    "datasets/samples.py": {"report"},
    "evaluator.py": {"report"},
    "results/result.py": {"plots", "report"},  # plot, report, write_table, and in a notebook
}


def _imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Absolute names imported by a file."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _room(name: str) -> str:
    return name.removeprefix("attribeval.").split(".")[0]


def _of_house(names: set[str]) -> set[str]:
    """Rooms among imported names."""
    return {_room(name) for name in names if name.startswith("attribeval.")} & {*ORDER, *PEOPLE}


def test_every_room_has_its_place():
    assert {_room(f"attribeval.{path.stem}") for path in PACKAGE.iterdir() if path in SOURCES or path.is_dir()} - {
        "__init__",
        "__pycache__",
    } == {*ORDER, *PEOPLE}


def _is_view(name: str) -> bool:
    """Whether a module is a study's view or command: of floor 4, though it lies in the study's folder."""
    return re.match(r"attribeval\.benchmarks\.\w+\.(view|command)(\.|$)", name) is not None


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    room = _room(module)
    views = {name for name in _imports(path) if _is_view(name)}
    if _is_view(module):
        own = ".".join(module.split(".")[:3]) + "."
        assert all(name.startswith(own) for name in views), f"{path}: another study's view"
        assert ".command" in module or "cli" not in _of_house(_imports(path)), f"{path}: a view knows no commands"
        return
    assert not views, f"{path}: views are found through benchmarks.registry alone"
    if room in ORDER:
        later = set(ORDER[ORDER.index(room) + 1 :]) | PEOPLE
        allowed = CONVENIENCE.get(path.relative_to(PACKAGE).as_posix(), set())
        wrong = _of_house(_imports(path)) & later
        assert wrong <= allowed and not _of_house(_imports(path, top_level_only=True)) & later, f"{path}: {wrong}"


def test_what_people_look_at_knows_no_study_by_name():
    from attribeval.benchmarks.registry import STUDIES

    assert {path.parent.name for path in PACKAGE.glob("benchmarks/*/procedure.py")} == {
        folder.rsplit(".", 1)[1] for folder in STUDIES.values()
    }
    for path in [path for room in ("report", "plots", "cli") for path in (PACKAGE / room).rglob("*.py")]:
        wrong = {name for name in _imports(path) if re.match(r"attribeval\.benchmarks\.(?!registry)", name)}
        quoted = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not wrong and not quoted & set(STUDIES), f"{path}: {wrong}, {quoted & set(STUDIES)}"


def test_every_exception_is_needed():
    for name, rooms in CONVENIENCE.items():
        assert rooms <= _of_house(_imports(PACKAGE / name)), name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_private_keras_no_assert_no_tensorflow_at_import(path):
    text = path.read_text()
    assert "keras.src" not in text
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(text)))
    assert not any(name.split(".")[0] in ("tensorflow", "keras") for name in _imports(path, top_level_only=True))


@pytest.mark.parametrize("path", sorted((PACKAGE / "methods").glob("*.py")), ids=lambda p: p.name)
def test_no_file_of_a_method_is_long(path):
    assert len(path.read_text().splitlines()) <= 200


LINES, BODY, PARAMETERS = 250, 60, 8


def _face() -> set[str]:
    """Functions and classes that the documentation lists: what users call may take as much as it needs."""
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    return set(re.findall(r":: attribeval\.([\w.]+)$", pages, re.M))


def _too_big() -> dict[str, int]:
    """Files, bodies of functions (their docstrings left out) and lists of parameters above the limits."""
    found, face = {}, _face()
    for path in SOURCES:
        text, name = path.read_text(), path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        if (lines := len(text.splitlines())) > LINES:
            found[name] = lines
        tree = ast.parse(text)
        owner = {id(m): c.name for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for m in c.body}
        for one in ast.walk(tree):
            if not isinstance(one, ast.FunctionDef):
                continue
            called = f"{name}.{owner[id(one)]}.{one.name}" if id(one) in owner else f"{name}.{one.name}"
            said = one.body[0].end_lineno - one.body[0].lineno + 1 if ast.get_docstring(one) is not None else 0
            if (body := one.end_lineno - one.lineno + 1 - said) > BODY:
                found[f"{called}()"] = body
            every = [*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]
            count = len([argument for argument in every if argument.arg not in ("self", "cls")])
            public = called in face or f"{name}.{owner.get(id(one))}" in face
            if count > PARAMETERS and not public:
                found[f"{called}(…)"] = count
    return found


def test_files_functions_and_lists_of_parameters_are_short():
    assert not _too_big(), f"at most {LINES} lines a file, {BODY} a function, {PARAMETERS} parameters"


@pytest.mark.parametrize(
    "code",
    [
        "import attribeval",
        "from attribeval import Recipe, metrics",
        "import attribeval.cli",
        "import attribeval.methods.registry",
    ],
)
def test_import_does_not_load_tensorflow(code):
    heavy = "tensorflow", "keras", "shap", "lime", "matplotlib", "pandas", "numba", "sklearn", "skimage"
    check = f"{code}; import sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    loaded = done.stdout.strip()
    if "registry" in code:
        assert "tensorflow" not in loaded and "keras" not in loaded
    else:
        assert loaded == "[]"


def test_every_metric_of_the_leaderboard_has_a_function_with_a_short_name():
    from attribeval import metrics
    from attribeval.metrics.registry import BENCHMARKS

    public = {getattr(metrics, name).__module__ for name in metrics.__all__}
    assert {cls.__module__ for cls in BENCHMARKS.values()} <= public
    assert metrics.deletion is sys.modules["attribeval.metrics.faithfulness.deletion"].deletion


def test_every_declared_dependency_is_used_and_every_used_one_declared():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].split("\n")
    declared = {re.split(r"[<>=\[]", line)[0].strip().lower() for line in lines if line and not line.startswith("#")}
    module_of = {"scikit-image": "skimage", "scikit-learn": "sklearn", "pillow": "PIL", "pyyaml": "yaml",
                 "tf-keras-vis": "tf_keras_vis", "opencv-python-headless": "cv2",
                 "tensorflow-datasets": "tensorflow_datasets"}  # fmt: skip
    used = {name.split(".")[0] for path in SOURCES for name in _imports(path)}
    used |= {"tensorflow", "keras"}  # through attribeval._tf
    needed_by_deeplift = {"yaml"}
    optional = {"cv2"}  # of the extra `opencv`; imported where it is needed, with an error that says so
    for name in optional:
        assert f"{next(k for k, v in module_of.items() if v == name)}" in config["options.extras_require"]["opencv"]
    wanted = {module_of.get(name, name) for name in declared}
    assert wanted - used - needed_by_deeplift == set()
    extras = "\n".join(config["options.extras_require"].values()).split("\n")
    optional = {re.split(r"[<>=\[]", line)[0].strip().lower() for line in extras if line}
    optional = {module_of.get(name, name) for name in optional}
    standard = set(sys.stdlib_module_names) | {"attribeval", "__future__"}
    assert used - standard - wanted - optional == set()


def test_the_floors_are_the_lowest_versions_that_are_allowed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = [line for line in config["options"]["install_requires"].split("\n") if line and not line.startswith("#")]
    allowed = dict(line.split(">=") for line in lines)
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / ".ci/floors.txt").read_text(), re.M))

    def parts(version: str) -> list[int]:
        numbers = [int(number) for number in version.split(".")]
        return numbers + [0] * (4 - len(numbers))

    assert set(allowed) == set(pinned) - {"pytest"}
    assert {name: parts(pinned[name]) for name in allowed} == {name: parts(low) for name, low in allowed.items()}


def test_what_publishes_says_the_same_as_the_package():
    import yaml

    from attribeval import __version__

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]
    assert {"run": ".ci/run"} in jobs["tests"]["steps"]
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    versions = [c for c in jobs["tests"]["strategy"]["matrix"]["python"]]
    assert all(
        f"Programming Language :: Python :: {version}" in config["metadata"]["classifiers"] for version in versions
    )
    environments = (ROOT / "tox.ini").read_text()
    assert all(
        f"[testenv:{name}]" in environments for name in jobs["environments"]["strategy"]["matrix"]["environment"]
    )
    assert (ROOT / yaml.safe_load((ROOT / ".readthedocs.yaml").read_text())["sphinx"]["configuration"]).is_file()
    forms = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")]
    assert sum({"name", "description", "body"} <= set(form) for form in forms) == len(forms) - 1 >= 3


def test_no_machine_path_and_no_download_at_import():
    for path in [*SOURCES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        assert "/work/" not in path.read_text(), path


def test_wheel_holds_the_package_and_nothing_else(tmp_path):
    import shutil

    copy = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", "build", "*.egg-info", ".venv", "__pycache__", ".tox", "generated")
    shutil.copytree(ROOT, copy, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path / "dist"), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    outside = [n for n in names if not n.startswith(("attribeval/", "attribeval-"))]
    assert outside == []
    nets = ["models/digit_nets/digit_objects.keras", "models/digit_nets/digit_scenes.keras"]
    for needed in ["py.typed", "report/page.html.j2", *nets]:
        assert f"attribeval/{needed}" in names
    sources = {str(p.relative_to(ROOT)) for p in SOURCES}
    assert {n for n in names if n.endswith(".py")} == sources
