"""tools/build: what a tree was configured without is found once it is there."""
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES NONE)
add_custom_target(early COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_SOURCE_DIR}/early-built)
if(EXISTS ${CMAKE_SOURCE_DIR}/library)
    add_custom_target(late COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_SOURCE_DIR}/late-built)
endif()
"""
PRESETS = """
{"version": 6, "configurePresets": [
    {"name": "small", "generator": "Ninja", "binaryDir": "${sourceDir}/build/small"}]}
"""


def build(project, *targets):
    return subprocess.run([project / "tools/build", "small", *targets],
                          capture_output=True, text=True, timeout=60)


def test_a_target_whose_library_came_after_the_first_build_is_built(tmp_path):
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/build", tmp_path / "tools/build")
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    (tmp_path / "CMakePresets.json").write_text(PRESETS)

    assert build(tmp_path, "early").returncode == 0
    assert (tmp_path / "early-built").exists()

    missing = build(tmp_path, "late")
    assert missing.returncode == 1 and "unknown target 'late'" in missing.stderr, missing.stderr

    (tmp_path / "library").touch()
    assert build(tmp_path, "early", "late").returncode == 0
    assert (tmp_path / "late-built").exists()
