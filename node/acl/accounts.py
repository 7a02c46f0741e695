"""The users of one node, joined to its clients.

Rules:

* A client holds its `User`, never a copy: what is changed about a user holds for its clients from
  their next request on. The default user is one object for the whole life of the node.
* As long as nobody is restricted the gate is not asked to check rights at all. A restricted user's
  clients pass the gate with every request; everybody else's go on without it.
* What a change takes away is taken at once: clients of users that are gone are cut off, and so are
  subscribers to channels that their user may not hear any more.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ..commands.client import describe
from ..config.syntax import bytes_from, text_from
from ..errors import CommandError, as_c_string
from .denials import Denial, Reason
from .log import AclLog
from .selectors import channel_allowed, has_blanks
from .userfile import UserFileError, read_users_untrusted, user_line, write_users
from .users import (
    DEFAULT_NAME,
    BadRuleError,
    UnmatchedParenthesisError,
    User,
    make_default_user,
    merge_selector_words,
)

if TYPE_CHECKING:
    from ..machine import Machine
    from ..registry import Command
    from ..session import Session

_CHANGED_SINCE: Final = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
    b"call. This command is no longer allowed for the following reason: "
)
_LOST_RIGHT: Final = {
    Reason.COMMAND: b"no permission to execute the command or subcommand",
    Reason.KEY: b"no permission to touch the specified keys",
    Reason.CHANNEL: b"no permission to access one of the channels used as arguments",
}
_CANNOT_IN_SCRIPT: Final = {
    Reason.COMMAND: b"can't run this command or subcommand",
    Reason.KEY: b"can't access at least one of the keys mentioned in the command arguments",
    Reason.CHANNEL: b"can't publish to the channel mentioned in the command",
}


class UserFile(Protocol):
    """The `aclfile`; its methods may raise OSError."""

    @property
    def path(self) -> str:
        """Where it is, as the configuration says."""

    def read(self) -> bytes:
        """Its text."""

    def replace(self, text: bytes) -> None:
        """Give it a new text, so that it is never seen half written."""


class Accounts:
    """Who may log in to one node, and what they may do there."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.default = make_default_user()
        self._users = {DEFAULT_NAME: self.default}
        #: For work that no client asked for (the primary's stream, a file being loaded): it may do
        #: everything, whatever the default user may.
        self.node = make_default_user()
        self.log = AclLog()
        #: The runtime puts the `aclfile` here.
        self.file: UserFile | None = None

    # --- who there is ------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """The default user needs no password, so every new client is logged in."""
        return self.default.needs_no_password and self.default.is_on

    def exists(self, name: bytes) -> bool:
        """Whether there is a user of that name."""
        return name in self._users

    def maybe_user(self, name: bytes) -> User | None:
        """The user of that name."""
        return self._users.get(name)

    def in_order(self) -> list[User]:
        """All users by name."""
        return [self._users[name] for name in sorted(self._users)]

    def lines(self) -> list[str]:
        """What stands behind `user` in a configuration file."""
        return [text_from(user_line(user).removeprefix(b"user ")) for user in self.in_order()]

    # --- logging in --------------------------------------------------------------------------

    def log_in(self, session: "Session", name: bytes, password: bytes, word: bytes) -> bool:
        """Make the client that user if the password is right; `word` is the command it used."""
        user = self._users.get(name)
        # A stranger takes as long as a known user, so that nobody can find out names.
        if not (user or self.default).accepts(password) or user is None:
            self._note(session, Reason.AUTH, word, name, context=_context(session))
            return False
        session.account = user
        session.authenticated = True
        return True

    def set_default_password(self, password: str | None) -> None:
        """`requirepass` has a value, or none."""
        rules = [b"resetpass", b">" + bytes_from(password)] if password else [b"nopass"]
        opens = self._opens_channels
        self.default.take_over(self.default.changed(rules, opens_channels=opens))

    # --- changing users ----------------------------------------------------------------------

    @property
    def _opens_channels(self) -> bool:
        return bool(self._machine.config.acl_pubsub_default == "allchannels")

    def set_user(self, name: bytes, words: Sequence[bytes], by: "Session | None") -> None:
        """Make or change a user on behalf of a client; raises CommandError and changes nothing."""
        if has_blanks(name):
            raise CommandError(b"ERR Usernames can't contain spaces or null characters")
        opens = self._opens_channels
        old = self._users.get(name)
        try:
            rules = merge_selector_words(words)
            new = (old or User(name, opens_channels=opens)).changed(rules, opens_channels=opens)
        except UnmatchedParenthesisError as failure:
            raise CommandError(
                b"ERR Unmatched parenthesis in acl selector starting at '%b'."
                % as_c_string(failure.word)
            ) from None
        except BadRuleError as failure:
            raise CommandError(
                b"ERR Error in ACL SETUSER modifier '%b': %b"
                % (as_c_string(failure.rule), failure.cause.text.encode())
            ) from None
        if old is None:
            self._users[name] = new
        else:
            old.take_over(new)
        self._on_change(by)

    def delete_users(self, names: Iterable[bytes], by: "Session | None") -> int:
        """Remove users, and cut off their clients; returns how many there were."""
        doomed = [self._users.pop(name) for name in dict.fromkeys(names) if name in self._users]
        assert self.default not in doomed
        self._on_change(by)
        return len(doomed)

    def _on_change(self, by: "Session | None") -> None:
        """Bring gate and clients in line with the users' rights; `by` is who changed them."""
        machine = self._machine
        is_free = all(user.is_unrestricted for user in self._users.values())
        machine.gate.authorize = None if is_free else self.authorize
        for session in list(machine.sessions.values()):
            user = session.account
            if user is not self.node and self._users.get(user.name) is not user:
                # It must not keep any right until the runtime gets round to closing it.
                session.account, session.authenticated = self.default, False
                session.close(after_reply=session is by)
            elif not self._may_listen(session):
                session.close(after_reply=session is by)
            machine.regate(session)

    @staticmethod
    def _may_listen(session: "Session") -> bool:
        """Whether the client may hear all that it is subscribed to."""
        subscriptions = session.features.get("pubsub")
        selectors = session.account.selectors
        if subscriptions is None or any(selector.has_all_channels for selector in selectors):
            return True
        granted = [pattern for selector in selectors for pattern in selector.channels]
        return all(
            channel_allowed(granted, channel, is_pattern=False)
            for channel in (*subscriptions.channels, *subscriptions.shard_channels)
        ) and all(pattern in granted for pattern in subscriptions.patterns)

    # --- the configuration and the file ------------------------------------------------------

    def shut(self) -> None:
        """Let nobody in until the `aclfile` has been read."""
        opens = self._opens_channels
        self.default.take_over(self.default.changed([b"off"], opens_channels=opens))

    def load_lines(self, lines: Iterable[Sequence[str]]) -> str | None:
        """The `user` lines of the configuration: name and rules; what is wrong, without secrets."""
        opens = self._opens_channels
        seen: set[bytes] = set()
        for line in lines:
            name, *words = map(bytes_from, line)
            shown = text_from(name.split()[0]) if name.split() else ""
            if has_blanks(name):
                return f"user {shown}: Spaces not allowed in ACL usernames"
            if name in seen:
                return (
                    f"user {shown}: Duplicate user found. A user can only be defined once in "
                    "config files"
                )
            seen.add(name)
            try:
                rules = merge_selector_words(words)
                user = User(name, opens_channels=opens).changed(rules, opens_channels=opens)
            except UnmatchedParenthesisError:
                return f"user {shown}: Unmatched parenthesis in acl selector"
            except BadRuleError as failure:
                return f"Error in user declaration '{shown}': {failure.cause.text}"
            if name == DEFAULT_NAME:
                self.default.take_over(user)
            else:
                self._users[name] = user
            if not user.is_on:
                self._machine.log.notice(
                    f"The user '{shown}' is disabled (there is no 'on' modifier in the user "
                    "description). Make sure this is not a configuration error."
                )
        self._on_change(None)
        return None

    def load_file(self, by: "Session | None" = None) -> None:
        """Have the users of the `aclfile` instead; raises UserFileError and changes nothing."""
        file = self.file
        assert file is not None
        path = bytes_from(file.path)
        try:
            text = file.read()
        except OSError as failure:
            reason = bytes_from(failure.strerror or str(failure))
            raise UserFileError(
                b"Error loading ACLs, opening file '%b': %b" % (path, reason)
            ) from None
        loaded = read_users_untrusted(text, path, opens_channels=self._opens_channels)
        loaded.setdefault(DEFAULT_NAME, make_default_user())
        for name, user in loaded.items():
            # Clients of a user that is still there stay, with the new rights.
            known = self._users.get(name)
            if known is not None:
                known.take_over(user)
                loaded[name] = known
        self._users = loaded
        self._on_change(by)

    def save_file(self) -> None:
        """Write all users into the `aclfile`; may raise OSError."""
        assert self.file is not None
        self.file.replace(write_users(self.in_order()))

    # --- decisions ---------------------------------------------------------------------------

    def authorize(self, session: "Session", command: "Command", args: list[bytes]) -> None:
        """The gate's question: may this client do that? Raises the refusal if not."""
        user = session.account
        if user.is_unrestricted or command.full_name in user.unchecked:
            return
        denial = user.maybe_denial(command, args)
        if denial is not None:
            self._refuse(session, command, args, denial, context=_context(session))
            raise CommandError(b"NOPERM " + explain(denial, user, command))

    def authorize_queued(self, session: "Session", command: "Command", args: list[bytes]) -> None:
        """The same at EXEC, for what was queued a while ago."""
        denial = session.account.maybe_denial(command, args)
        if denial is not None:
            self._refuse(session, command, args, denial, context=b"multi")
            raise CommandError(_CHANGED_SINCE + _LOST_RIGHT[denial.reason])

    def authorize_in_script(
        self, session: "Session", command: "Command", args: list[bytes]
    ) -> None:
        """The same for a script of this client."""
        user = session.account
        denial = user.maybe_denial(command, args)
        if denial is not None:
            self._refuse(session, command, args, denial, context=b"lua")
            raise CommandError(
                b"ERR The user executing the script " + _CANNOT_IN_SCRIPT[denial.reason]
            )

    def _refuse(
        self,
        session: "Session",
        command: "Command",
        args: list[bytes],
        denial: Denial,
        *,
        context: bytes,
    ) -> None:
        subject = command.full_name.encode()
        if denial.reason is not Reason.COMMAND:
            subject = args[denial.position]
        self._note(session, denial.reason, subject, session.account.name, context=context)

    def _note(
        self, session: "Session", reason: Reason, subject: bytes, user: bytes, *, context: bytes
    ) -> None:
        machine = self._machine
        self.log.add(
            reason,
            context,
            subject,
            user,
            describe(session),
            machine.clock.now_ms,
            machine.config.acllog_max_len,
        )


def _context(session: "Session") -> bytes:
    return b"toplevel" if session.queue is None else b"multi"


def explain(denial: Denial, user: User, command: "Command") -> bytes:
    """A refusal as clients hear it; keys and channels are not repeated."""
    match denial.reason:
        case Reason.COMMAND:
            name = command.full_name.encode()
            return b"User %b has no permissions to run the '%b' command" % (user.name, name)
        case Reason.KEY:
            return b"No permissions to access a key"
        case _:
            return b"No permissions to access a channel"
