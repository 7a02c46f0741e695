"""Who may do what: users, their rules, the checks, and the log of what was refused.

* `catalog`: the commands and categories that rules are about.
* `selectors`, `users`: rules in, decisions and rule texts out; these know nothing of clients.
* `access`: what a request does to which keys and channels.
* `denials`, `log`: why something was refused, and the refusals of late.
* `userfile`: the text of an `aclfile`.
* `accounts`: the users of one node, joined to its clients.
"""

from .accounts import Accounts
from .denials import Denial, Reason
from .users import User

__all__ = ["Accounts", "Denial", "Reason", "User"]
