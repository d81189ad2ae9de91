"""usage: detach.py CMD...

Starts CMD in the background as a daemon would be: a session of its own, nothing open but /dev/null.
"""

import subprocess
import sys

NOTHING = subprocess.DEVNULL
subprocess.Popen(
    sys.argv[1:], stdin=NOTHING, stdout=NOTHING, stderr=NOTHING, start_new_session=True, cwd="/"
)
