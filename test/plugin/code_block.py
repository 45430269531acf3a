"""Print the Python code block of a page whose first line is `# FILE`."""

import re
import sys
from pathlib import Path

page, name = sys.argv[1:]
text = Path(page).read_text(encoding="utf-8")
blocks: list[str] = re.findall(
    r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
)
found = [block for block in blocks if block.startswith(f"# {name}\n")]
assert len(found) == 1, f"{page} has {len(found)} code blocks '# {name}'"
assert found[0].count("\n") < 80, f"'# {name}' has {found[0].count(chr(10))} lines"
print(found[0], end="")
