"""What keeps the project in order: template, hooks, environments, releases hang together."""

import json
import os
import re
import shutil
import subprocess
import tomllib

import nbformat
import pytest
import yaml

from book.execute import execute_chapter, notebook_defaults
from book.links import dead_links
from book.tree import ROOT, Tree

SCRIPTS = (
    ".ci/run",
    ".ci/another-python",
    ".ci/browser",
    ".devcontainer/prepare",
    ".binder/postBuild",
)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_links_between_the_sources_lead_somewhere(tmp_path):
    assert dead_links(ROOT) == []
    (tmp_path / "a.md").write_text("[gone](b.md) [far](https://example.org) [here](a.md#x) [](#y)")
    assert dead_links(tmp_path) == ["a.md: b.md leads to no file"]


def test_the_template_of_a_chapter_runs(tmp_path):
    tree = Tree("fast", tmp_path)
    (tmp_path / "chapters").mkdir()
    shutil.copy(ROOT / "chapters" / "template.ipynb", tree.notebook("01_template"))
    cells = nbformat.read(tree.notebook("01_template"), as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert {"data", "seed", "work"} <= set(notebook_defaults(tree.notebook("01_template")))
    for folder in (tree.executed, tree.work):
        folder.mkdir(parents=True)
    tree.record.write_text(json.dumps({"chapters": {}}))
    small = {
        "records": 500,
        "hidden": [16],
        "epochs": 1,
        "observations": 4,
        "draws": 4,
        "steps": 20,
    }
    execute_chapter(tree, "01_template", small | {"work": str(tree.work)})
    done = nbformat.read(tree.executed / "01_template.ipynb", as_version=4).cells
    assert any(
        "image/png" in out.get("data", {}) for cell in done for out in cell.get("outputs", [])
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_every_environment_is_made_from_the_same_pins():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    assert container["postCreateCommand"] == ".devcontainer/prepare"
    python = re.search(r"python:(3\.\d+)", container["image"]).group(1)
    assert read(".binder/runtime.txt").strip() == f"python-{python}"
    assert f'"{python}"' in read(".github/workflows/book.yml")
    for name in (".devcontainer/prepare", ".binder/postBuild"):
        assert re.search(r"^make env\b", read(name), re.M)
        assert "pip install" not in read(name)
    pinned = {line.split("==")[0] for line in read("requirements.txt").splitlines() if "==" in line}
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    for wanted in project["dependencies"] + extras:
        assert re.match(r"[\w.-]+", wanted).group().lower() in {name.lower() for name in pinned}


def test_hooks_run_what_the_environment_has():
    hooks = [
        hook
        for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
        for hook in repo["hooks"]
    ]
    assert {hook["id"] for hook in hooks} >= {"ruff-check", "strip", "links", "spelling"}
    pinned = read("requirements.txt")
    for hook in hooks:
        assert hook["language"] == "system"
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert program == "python" or f"\n{program}==" in pinned


def test_issue_forms_have_what_the_form_needs():
    forms = [
        path
        for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")
        if path.stem != "config"
    ]
    assert len(forms) == 3
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert form["name"] and form["description"]
        for field in form["body"]:
            assert field["type"] in ("textarea", "input", "markdown", "dropdown", "checkboxes")
            assert field["attributes"]["label"] and field["id"]


def test_one_version_everywhere_and_a_release_attaches_site_and_pdf():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    release = yaml.safe_load(read(".github/workflows/release.yml"))
    commands = "\n".join(step.get("run", "") for step in release["jobs"]["release"]["steps"])
    for words in ("make book", "make pdf", ".zip", ".pdf", "gh release create"):
        assert words in commands


def test_no_button_leads_to_a_service_that_is_not_set_up():
    config = yaml.safe_load(re.sub(r"\{\{.*?\}\}", "x", read("_config.yml")))
    assert config["launch_buttons"] == {"binderhub_url": "", "thebe": False}
    assert not any(
        config["html"][f"use_{what}_button"] for what in ("repository", "issues", "edit_page")
    )
