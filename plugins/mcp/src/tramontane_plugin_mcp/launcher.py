"""Becomes a program that dies with the process that wanted it, however that dies. Linux has this.

python -I -S launcher.py PARENT PROGRAM [ARGUMENT ...]
"""

import ctypes
import os
import signal
import sys

DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, which an exec keeps

ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("whoever wanted this program is gone")
for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python; an exec would keep that too
    signal.signal(ignored, signal.SIG_DFL)
os.execvp(sys.argv[2], sys.argv[2:])
