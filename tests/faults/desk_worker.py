"""A desk process that believes to be on another machine: only the end of its lease tells others that it is gone."""

import sys

from workbench.orchestration import desk_lease, desk_main, desk_state

for module in (desk_lease, desk_state):
    module.host_name = lambda: "another machine/1"

if __name__ == "__main__":
    sys.exit(desk_main.main())
