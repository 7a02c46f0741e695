"""ACL, AUTH and what the rights of users do to their clients."""

import pytest

from clustrio.node.acl.userfile import UserFileError
from clustrio.node.config.syntax import ConfigFileError

from ..harness import Failure, MemoryClient, MemoryNode, Plain

WRONG = Failure("WRONGPASS invalid username-password pair or user is disabled.")
_RUNNER = (
    "#!lua name=runner\n"
    "redis.register_function('run', function(_, words) return redis.call(unpack(words)) end)"
)


class File:
    """An ACL file in memory."""

    path = "/etc/users.acl"

    def __init__(self, text: bytes = b"") -> None:
        self.text = text
        self.failure: OSError | None = None

    def read(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        return self.text

    def replace(self, text: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self.text = text


class Subscriptions:
    """What a subscriber hears."""

    def __init__(self, *channels: bytes) -> None:
        self.channels = set(channels)
        self.patterns: set[bytes] = set()
        self.shard_channels: set[bytes] = set()

    def on_disconnect(self, session: object) -> None:
        self.channels.clear()


def login(node: MemoryNode, rules: str) -> MemoryClient:
    """A client of a user with such rules."""
    assert node.call("ACL", "SETUSER", "alice", "reset", "on", "nopass", *rules.split()) == "OK"
    client = node.connect()
    assert client.call("AUTH", "alice", "x") == "OK"
    return client


# --- logging in ------------------------------------------------------------------------------


def test_auth_and_whoami() -> None:
    node = MemoryNode()
    assert node.call("ACL", "WHOAMI") == b"default"
    node.call("ACL", "SETUSER", "alice", "on", ">secret", "+@all")
    assert node.call("AUTH", "alice", "nope") == WRONG
    assert node.call("AUTH", "nobody", "nope") == WRONG
    assert node.call("ACL", "WHOAMI") == b"default"
    assert node.call("AUTH", "alice", "secret") == "OK"
    assert node.call("ACL", "WHOAMI") == b"alice"
    assert node.call("RESET") == "RESET"
    assert node.call("ACL", "WHOAMI") == b"default"
    assert node.call("HELLO", "3", "AUTH", "alice", "secret")[b"proto"] == 3
    node.call("ACL", "SETUSER", "alice", "off")
    assert node.call("AUTH", "alice", "secret") == WRONG


def test_requirepass_is_the_password_of_the_default_user() -> None:
    node = MemoryNode(requirepass="first")
    assert node.call("ACL", "LIST") == Failure("NOAUTH Authentication required.")
    assert node.call("AUTH", "first") == "OK"
    assert node.call("CONFIG", "SET", "requirepass", "second") == "OK"
    other = node.connect()
    assert other.call("AUTH", "first") == WRONG
    assert other.call("AUTH", "default", "second") == "OK"
    node.call("CONFIG", "SET", "requirepass", "")
    assert node.connect().call("PING") == "PONG"
    node.call("ACL", "SETUSER", "default", ">third")
    assert node.connect().call("PING").startswith("NOAUTH")


def test_auth_without_a_password_set() -> None:
    node = MemoryNode()
    assert node.call("AUTH", "x").startswith("ERR AUTH <password> called without any password")
    node.call("ACL", "SETUSER", "default", "off")
    stranger = node.connect()
    assert stranger.call("PING").startswith("NOAUTH")
    assert stranger.call("AUTH", "x").startswith("ERR AUTH <password> called without any password")


# --- rights ----------------------------------------------------------------------------------


def test_a_free_node_checks_nothing() -> None:
    node = MemoryNode()
    node.observe(False)
    assert node.machine.gate.authorize is None
    client = login(node, "+@all ~* &*")
    assert node.machine.gate.authorize is None
    both = (client.session, node.session)
    assert [session.gated for session in both] == [False, False]
    node.call("ACL", "SETUSER", "alice", "-get")
    assert [session.gated for session in both] == [True, False]
    node.call("ACL", "SETUSER", "alice", "+@all")
    assert [session.gated for session in both] == [False, False]
    assert node.machine.gate.authorize is None


def test_refusals() -> None:
    node = MemoryNode()
    client = login(node, "+get +set +config|get ~a* %R~b")
    assert client.call("SET", "a1", "x") == "OK"
    assert client.call("GET", "b") is None
    assert client.call("SET", "b", "x") == Failure("NOPERM No permissions to access a key")
    assert client.call("DEL", "a") == Failure(
        "NOPERM User alice has no permissions to run the 'del' command"
    )
    assert client.call("CONFIG", "SET", "port", "1") == Failure(
        "NOPERM User alice has no permissions to run the 'config|set' command"
    )
    assert client.call("CONFIG", "GET", "port") == [b"port", b"6379"]
    assert client.call("NOSUCH").startswith("ERR unknown command")
    assert client.call("GET").startswith("ERR wrong number of arguments")


def test_a_change_holds_for_clients_at_once() -> None:
    node = MemoryNode()
    client = login(node, "+@all ~*")
    assert client.call("GET", "a") is None
    node.call("ACL", "SETUSER", "alice", "resetkeys")
    assert client.call("GET", "a") == Failure("NOPERM No permissions to access a key")


def test_the_default_user_can_be_restricted() -> None:
    node = MemoryNode()
    other = node.connect()
    assert node.call("ACL", "SETUSER", "default", "-get") == "OK"
    assert other.call("GET", "a").startswith("NOPERM User default has no permissions")
    assert node.connect().call("GET", "a").startswith("NOPERM")
    assert other.call("SET", "a", "x") == "OK"


def test_transactions_are_checked_when_queued_and_when_run() -> None:
    node = MemoryNode()
    client = login(node, "+@all ~*")
    client.call("MULTI")
    node.call("ACL", "SETUSER", "alice", "-incr")
    assert client.call("SET", "a", "1") == "QUEUED"
    assert client.call("INCR", "a").startswith("NOPERM User alice")
    assert client.call("EXEC").startswith("EXECABORT")
    client.call("MULTI")
    client.call("SET", "a", "1")
    client.call("GET", "a")
    node.call("ACL", "SETUSER", "alice", "-get")
    assert client.call("EXEC") == [
        "OK",
        Failure(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the "
            "EXEC call. This command is no longer allowed for the following reason: no permission "
            "to execute the command or subcommand"
        ),
    ]
    contexts = [entry[b"context"] for entry in resp3_log(node)]
    assert contexts == [b"multi", b"multi"]


@pytest.mark.parametrize("way", ["EVAL", "FCALL"])
def test_scripts_may_what_their_caller_may(way: str) -> None:
    node = MemoryNode()
    node.call("FUNCTION", "LOAD", _RUNNER)
    client = login(node, "+get +publish +eval +fcall ~a &news")

    def run(*words: str) -> Plain:
        script = "return redis.call(unpack(ARGV))" if way == "EVAL" else "run"
        return client.call(way, script, 0, *words)

    assert run("GET", "a") is None
    assert run("PUBLISH", "news", "x") == 0
    for words, text in (
        (("GET", "b"), "ERR The user executing the script can't access at least one of the keys"),
        (("SET", "a", "x"), "ERR The user executing the script can't run this command"),
        (("PUBLISH", "other", "x"), "ERR The user executing the script can't publish to the"),
    ):
        assert run(*words).startswith(text), words
    assert [entry[b"context"] for entry in resp3_log(node)] == [b"lua"] * 3


def test_sort_may_only_follow_patterns_with_all_keys_readable() -> None:
    node = MemoryNode()
    node.call("RPUSH", "a", "2", "1")
    client = login(node, "+sort +sort_ro ~a*")
    assert client.call("SORT", "a") == [b"1", b"2"]
    assert client.call("SORT", "a", "BY", "nosort") == [b"2", b"1"]
    for name in ("SORT", "SORT_RO"):
        assert client.call(name, "a", "BY", "a*") == Failure(
            "ERR BY option of SORT denied due to insufficient ACL permissions."
        )
        assert client.call(name, "a", "GET", "a*") == Failure(
            "ERR GET option of SORT denied due to insufficient ACL permissions."
        )
    node.call("ACL", "SETUSER", "alice", "%R~*")
    assert client.call("SORT", "a", "GET", "#") == [b"1", b"2"]


# --- what clients lose -----------------------------------------------------------------------


def test_clients_of_deleted_users_are_cut_off() -> None:
    node = MemoryNode()
    client = login(node, "+@all ~* &*")
    assert node.call("ACL", "DELUSER", "default") == Failure(
        "ERR The 'default' user cannot be removed"
    )
    assert node.call("ACL", "DELUSER", "alice", "alice", "nobody") == 1
    assert client.session.close_now
    assert not client.session.authenticated
    assert node.call("ACL", "USERS") == [b"default"]


def test_who_deletes_itself_still_hears_of_it() -> None:
    node = MemoryNode()
    client = login(node, "+@all ~* &*")
    assert client.call("ACL", "DELUSER", "alice") == 1
    assert client.session.close_after_reply


def test_subscriptions_are_cut_when_rights_go() -> None:
    node = MemoryNode()
    client = login(node, "+@all &news.*")
    client.session.features["pubsub"] = Subscriptions(b"news.a")
    node.call("ACL", "SETUSER", "alice", "&other")
    assert not client.session.close_now
    client.session.features["pubsub"].patterns.add(b"news.*")
    node.call("ACL", "SETUSER", "alice", "&more")
    assert not client.session.close_now
    node.call("ACL", "SETUSER", "alice", "resetchannels", "&news.a")
    assert client.session.close_now


def test_client_kill_user() -> None:
    node = MemoryNode()
    client = login(node, "+@all")
    assert node.call("CLIENT", "KILL", "USER", "nobody") == Failure("ERR No such user 'nobody'")
    assert node.call("CLIENT", "KILL", "USER", "alice") == 1
    assert client.session.close_now


# --- the commands ----------------------------------------------------------------------------


def test_getuser() -> None:
    node = MemoryNode()
    node.call("HELLO", "3")
    rules = ("on", "nopass", "~a", "%R~b", "&c", "+get", "(+set ~d)")
    node.call("ACL", "SETUSER", "alice", *rules)
    assert node.call("ACL", "GETUSER", "alice") == {
        b"flags": [b"on", b"nopass", b"sanitize-payload"],
        b"passwords": [],
        b"commands": b"-@all +get",
        b"keys": b"~a %R~b",
        b"channels": b"&c",
        b"selectors": [{b"commands": b"-@all +set", b"keys": b"~d", b"channels": b""}],
    }
    assert node.call("ACL", "GETUSER", "nobody") is None


def test_setuser_is_all_or_nothing() -> None:
    node = MemoryNode()
    assert node.call("ACL", "SETUSER", "alice", "+get", "+nosuch") == Failure(
        "ERR Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL"
    )
    assert node.call("ACL", "USERS") == [b"default"]
    assert node.call("ACL", "SETUSER", "alice", "(+get", "~a") == Failure(
        "ERR Unmatched parenthesis in acl selector starting at '(+get'."
    )
    assert node.call("ACL", "SETUSER", "a b") == Failure(
        "ERR Usernames can't contain spaces or null characters"
    )


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (("alice", "GET", "a"), "OK"),
        (("alice", "GET", "b"), b"User alice has no permissions to access the 'b' key"),
        (("alice", "DEL", "a"), b"User alice has no permissions to run the 'del' command"),
        (("nobody", "GET", "a"), Failure("ERR User 'nobody' not found")),
        (("alice", "NOSUCH"), Failure("ERR Command 'NOSUCH' not found")),
        (("alice", "CONFIG", "NOSUCH"), Failure("ERR Command 'CONFIG' not found")),
        (("alice", "GET"), Failure("ERR wrong number of arguments for 'get' command")),
        (("alice", "CONFIG"), Failure("ERR wrong number of arguments for 'config' command")),
    ],
)
def test_dryrun(words: tuple[str, ...], verdict: object) -> None:
    node = MemoryNode()
    node.call("ACL", "SETUSER", "alice", "+get", "~a")
    assert node.call("ACL", "DRYRUN", *words) == verdict


def test_cat_and_genpass() -> None:
    node = MemoryNode()
    assert b"dangerous" in node.call("ACL", "CAT")
    assert b"config|set" in node.call("ACL", "CAT", "DANGEROUS")
    assert node.call("ACL", "CAT", "x") == Failure("ERR Unknown category 'x'")
    assert node.call("ACL", "CAT", "x", "y").startswith("ERR unknown subcommand or wrong number")
    assert len(node.call("ACL", "GENPASS")) == 64
    assert len(node.call("ACL", "GENPASS", "5")) == 2
    for wrong in ("0", "-1", "4097", "x"):
        assert isinstance(node.call("ACL", "GENPASS", wrong), Failure)
    passwords = {node.call("ACL", "GENPASS") for _ in range(20)}
    assert len(passwords) == 20


def resp3_log(node: MemoryNode, *words: str) -> list[dict[bytes, object]]:
    reader = node.connect()
    reader.call("HELLO", "3")
    entries: list[dict[bytes, object]] = reader.call("ACL", "LOG", *words)
    return entries


def test_log() -> None:
    node = MemoryNode(acllog_max_len=3)
    client = login(node, "+get ~a")
    for _ in range(2):
        client.call("GET", "secret")
    client.call("SET", "a", "x")
    client.call("AUTH", "bob", "wrong")
    node.advance(1500)
    auth, command, key = resp3_log(node)
    assert (auth[b"reason"], auth[b"object"], auth[b"username"]) == (b"auth", b"AUTH", b"bob")
    assert (command[b"reason"], command[b"object"]) == (b"command", b"set")
    assert (key[b"reason"], key[b"object"], key[b"count"]) == (b"key", b"secret", 2)
    assert key[b"context"] == b"toplevel"
    assert key[b"age-seconds"] == 1.5
    assert key[b"entry-id"] == 0
    assert b"user=alice" in str(key[b"client-info"]).encode()
    assert len(resp3_log(node, "2")) == 2
    assert resp3_log(node, "-1") == []
    client.call("DEL", "a")
    assert len(resp3_log(node)) == 3
    info = node.call("INFO", "stats")
    assert b"acl_access_denied_auth:1\r\nacl_access_denied_cmd:2\r\nacl_access_denied_key:2" in info
    assert node.call("ACL", "LOG", "RESET") == "OK"
    assert resp3_log(node) == []


def test_help_lists_the_subcommands() -> None:
    assert any(line.startswith("SETUSER") for line in MemoryNode().call("ACL", "HELP"))


# --- configuration and file ------------------------------------------------------------------


def test_user_lines_of_the_configuration() -> None:
    node = MemoryNode(user="alice on nopass +get\nuser default on nopass ~* &* +@all -debug")
    assert node.call("ACL", "LIST") == [
        b"user alice on nopass sanitize-payload resetchannels -@all +get",
        b"user default on nopass sanitize-payload ~* &* +@all -debug",
    ]
    assert node.call("DEBUG", "SLEEP", "0").startswith("NOPERM")
    rewritten = node.machine.config.rewrite("user old on\n", node.machine.accounts.lines())
    assert [line for line in rewritten.splitlines() if line.startswith("user")] == [
        "user alice on nopass sanitize-payload resetchannels -@all +get",
        "user default on nopass sanitize-payload ~* &* +@all -debug",
    ]


def test_new_users_and_channels() -> None:
    node = MemoryNode(acl_pubsub_default="allchannels")
    node.call("ACL", "SETUSER", "alice")
    assert node.call("ACL", "GETUSER", "alice")[9] == b"&*"
    node.call("CONFIG", "SET", "acl-pubsub-default", "resetchannels")
    node.call("ACL", "SETUSER", "bob")
    assert node.call("ACL", "GETUSER", "bob")[9] == b""


def test_without_a_file_there_is_nothing_to_load() -> None:
    node = MemoryNode()
    for word in ("LOAD", "SAVE"):
        reply = node.call("ACL", word)
        assert reply.startswith("ERR This Redis instance is not configured to use an ACL file.")


def test_nobody_gets_in_before_the_file_is_read() -> None:
    node = MemoryNode(aclfile="users.acl")
    assert node.call("PING").startswith("NOAUTH")
    node.machine.accounts.file = File(b"user alice on nopass +@all")
    node.machine.accounts.load_file()
    assert node.connect().call("PING") == "PONG"


def test_load_and_save() -> None:
    node = MemoryNode()
    file = node.machine.accounts.file = File()
    staying, leaving = login(node, "+@all ~*"), node.connect()
    node.call("ACL", "SETUSER", "bob", "on", "nopass", "+@all")
    leaving.call("AUTH", "bob", "x")
    assert node.call("ACL", "SAVE") == "OK"
    saved = file.text
    assert saved.startswith(b"user alice on nopass sanitize-payload ~* resetchannels +@all\n")
    file.text = b"user alice on nopass +get ~a\n"
    assert node.call("ACL", "LOAD") == "OK"
    assert node.call("ACL", "USERS") == [b"alice", b"default"]
    assert leaving.session.close_now
    assert not staying.session.close_now
    assert staying.call("GET", "b").startswith("NOPERM")
    file.text = b"user carol +nosuch\n"
    assert node.call("ACL", "LOAD") == Failure(
        "ERR /etc/users.acl:1: Error in applying operation '+nosuch': Unknown command or category "
        "name in ACL. WARNING: ACL errors detected, no change to the previously active ACL rules "
        "was performed"
    )
    assert node.call("ACL", "USERS") == [b"alice", b"default"]
    file.failure = OSError(13, "Permission denied")
    assert node.call("ACL", "LOAD") == Failure(
        "ERR Error loading ACLs, opening file '/etc/users.acl': Permission denied"
    )
    assert node.call("ACL", "SAVE").startswith("ERR There was an error trying to save the ACLs.")
    with pytest.raises(UserFileError):
        node.machine.accounts.load_file()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("user alice on\nuser alice off", "user alice: Duplicate user found."),
        ('user "alice on >secret"', "user alice: Spaces not allowed in ACL usernames"),
        ("user alice #secret", "Error in user declaration 'alice': The password hash must be"),
        ("user alice (>secret", "user alice: Unmatched parenthesis"),
        ("user alice on\naclfile users.acl", "'aclfile users.acl': Users are defined"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_at_start(lines: str, reason: str) -> None:
    with pytest.raises(ConfigFileError) as refusal:
        MemoryNode(user=lines.removeprefix("user "))
    assert refusal.value.reason.startswith(reason)
    assert "secret" not in refusal.value.fatal_text()
