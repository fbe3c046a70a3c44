"""Forks do what `subprocess` does, with TensorFlow loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from helpers import forks

TELL = """
import os, sys
print(sys.argv, os.getcwd(), os.environ.get("TOLD"), sys.path[0], __name__, os.getsid(0) == os.getpid())
print(sys.stdin.read(), file=sys.stderr)
sys.exit(int(os.environ["CODE"]))
"""


@pytest.mark.parametrize("how", ["-c", "script"])
@pytest.mark.parametrize("code", ["0", "3"])
def test_a_fork_has_the_words_pipes_folder_environment_and_code_of_a_process(tmp_path, code, how):
    told = []
    (tmp_path / "tell.py").write_text(TELL)
    what = ["-c", TELL] if how == "-c" else [str(tmp_path / "tell.py")]
    for popen in (subprocess.Popen, forks.Popen):
        process = popen(
            [sys.executable, "-u", *what, "--quick", "-u", "a", "b c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ | {"TOLD": "ü", "CODE": code},
            start_new_session=True,
        )  # fmt: skip
        told.append((*process.communicate("in\nput"), process.returncode))
    assert told[0] == told[1] and told[0][2] == int(code) and "'--quick', '-u', 'a', 'b c'" in told[0][0]


def test_a_fork_has_tensorflow_and_runs_modules_as_main():
    done = forks.run([sys.executable, "-c", "import sys; print('tensorflow' in sys.modules)"], capture_output=True)
    assert done.stdout == b"True\n"
    words = [sys.executable, "-m", "attribeval", "roar", "status", "nowhere"]
    ours, plain = (one(words, capture_output=True, text=True) for one in (forks.run, subprocess.run))
    assert (ours.returncode, ours.stdout, ours.stderr) == (2, plain.stdout, plain.stderr)


def test_what_goes_wrong_in_a_fork_is_seen():
    done = forks.run([sys.executable, "-c", "raise KeyError('the cause')"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.endswith("KeyError: 'the cause'\n")
    with pytest.raises(subprocess.CalledProcessError):
        forks.run([sys.executable, "-c", "import nothing_of_this_name"], capture_output=True, check=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_fork_can_be_killed(number):
    code = "import time; print('up', flush=True); time.sleep(60)"
    process = forks.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n" and process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.send_signal(number)
    assert process.wait() == -number == process.poll()
    process.stdout.close()


def test_forks_draw_numbers_of_their_own():
    code = "import random, numpy; print(random.random(), numpy.random.random())"
    one, two = (forks.run([sys.executable, "-c", code], capture_output=True).stdout.split() for _ in range(2))
    assert one[0] != two[0] and one[1] != two[1]
