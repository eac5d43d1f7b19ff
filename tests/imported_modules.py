"""What a piece of code imports."""

import json
import subprocess
import sys


def imported(code: str, names: tuple[str, ...], *arguments: str) -> list[str]:
    """Those of some modules that a new process has imported after running code."""
    code += f"\nimport sys; import json; print(json.dumps([name for name in {names} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))
