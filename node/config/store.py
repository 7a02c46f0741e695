"""The configuration of one node: typed values, and all that CONFIG and the files do to them.

Rules:

* Values change through `load` (at start) and `set` (CONFIG SET) alone; attributes are for reading.
* `set` is all or nothing: every value is checked before the first is applied, and when a hook
  refuses, everything is put back and the hooks that ran are run again.
* Nothing here touches a file: reading, globbing and changing the directory are handed in as
  `Files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from ..errors import LOADING, CommandError
from ..values.glob import glob_match
from .declarations import (
    DIRECTIVES,
    FILE_ONLY,
    FORGOTTEN,
    UNKNOWN_TO_CONFIG,
    AllDirectives,
    maybe_directive_of_line,
)
from .directive import AnyDirective, Directive, RefusedError, RewriteLine, T, Trait
from .rewrite import Rewriter
from .special_kinds import OutputLimit
from .syntax import (
    ConfigFileError,
    UnreadableFileError,
    bytes_from,
    maybe_split_words,
)

INCLUDE_DEPTH_MAX: Final = 16

_BAD_DIRECTIVE: Final = "Bad directive or wrong number of arguments"
_WRONG_NUMBER: Final = "wrong number of arguments"

#: Called after values have changed; a text that it returns is the reason why they cannot.
Hook = Callable[[], str | None]
#: Gets the arguments of a line such as `user`, which is no directive; may return what is wrong.
LineHandler = Callable[[Sequence[str]], str | None]


class Files(Protocol):
    """What the configuration needs from the disk; every method may raise OSError."""

    def read(self, path: str) -> str:
        """The text of a file."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""
        ...

    def enter_directory(self, path: str) -> str:
        """Make it the working directory; returns its absolute path."""
        ...


class Config(AllDirectives):
    """The values of all directives; `config.port` is an `int`, `config.bind` a tuple of `str`."""

    def __init__(self, files: Files | None = None, directory: str = ".") -> None:
        self._files = files
        self._hooks: dict[str, list[Hook]] = {}
        self._line_handlers: dict[str, LineHandler] = {}
        self._loaded: set[str] = set()
        self._warned: set[str] = set()
        #: What the operator should know, to be logged (and cleared) by whoever runs the node.
        self.warnings: list[str] = []
        #: Lines such as `user` and `rename-command` that nobody was registered for, in order.
        self.other_lines: list[tuple[str, list[str]]] = []
        for directive in AllDirectives.directives():
            self.__dict__[directive.attribute] = directive.default
        self.__dict__["dir"] = directory

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(getattr(AllDirectives, name, None), Directive):
            raise AttributeError(f"{name} is changed with Config.set")
        super().__setattr__(name, value)

    # --- reading ----------------------------------------------------------------------------------

    def text_of(self, name: str) -> str:
        """The value of a directive as CONFIG GET shows it."""
        directive = DIRECTIVES[name.lower()]
        text: str = directive.kind.text(self.__dict__[directive.attribute])
        return text

    def get(self, patterns: Iterable[str]) -> list[tuple[str, str]]:
        """CONFIG GET: every directive whose name, new or old, matches one of the patterns."""
        found: dict[str, tuple[str, str]] = {}
        for pattern in patterns:
            if not any(letter in pattern for letter in "[*?"):
                # A plain name is echoed the way it was asked for.
                if pattern.lower() in DIRECTIVES:
                    found.setdefault(pattern.lower(), (pattern, self.text_of(pattern)))
                continue
            glob = bytes_from(pattern)
            for name, directive in DIRECTIVES.items():
                if name in found or directive.has(Trait.HIDDEN):
                    continue
                if glob_match(glob, name.encode(), ignore_case=True):
                    found[name] = (name, self.text_of(name))
        return list(found.values())

    def is_sensitive(self, name: str) -> bool:
        """Whether the value given for this name must not be shown anywhere."""
        directive = DIRECTIVES.get(name.lower())
        return directive is not None and directive.has(Trait.SENSITIVE)

    def output_limit(self, kind: str) -> OutputLimit:
        """The `client-output-buffer-limit` of a kind of client; a primary is a normal one."""
        limits = self.client_output_buffer_limit
        return limits.normal if kind == "master" else limits.of_class(kind)

    def put(self, directive: Directive[T], value: T) -> None:
        """Record what the node changed of its own accord; nothing is checked, no hook called.

        `config.put(Config.replicaof, HostAndPort("10.0.0.1", 7000))`
        """
        self.__dict__[directive.attribute] = value

    # --- CONFIG SET -------------------------------------------------------------------------------

    def on_change(self, name: str, hook: Hook) -> None:
        """Have `hook` called whenever CONFIG SET has changed the directive."""
        self._hooks.setdefault(DIRECTIVES[name].name, []).append(hook)

    def set(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        is_local: bool = False,
        is_loading: bool = False,
    ) -> None:
        """CONFIG SET: change all of the given directives, or none and raise `CommandError`.

        `is_local`: the client is on this machine; `is_loading`: the data set is being loaded.
        """
        chosen = self._choose(list(pairs), is_local, is_loading)
        new_values: list[object] = []
        for name, directive, text in chosen:
            # A value of several words is cut at every single space, quotes mean nothing here.
            words = [text]
            if directive.kind.takes_many_words:
                words = text.split(" ") if text else []
            try:
                new_values.append(directive.parse(words, self.__dict__[directive.attribute]))
            except RefusedError as refused:
                raise _set_failed(name.lower(), refused.reason) from None
        self._apply(chosen, new_values)

    def _choose(
        self, pairs: list[tuple[str, str]], is_local: bool, is_loading: bool
    ) -> list[tuple[str, AnyDirective, str]]:
        """Find the directives; the first one that may not be set decides about the error."""
        chosen: list[tuple[str, AnyDirective, str]] = []
        for name, text in pairs:
            directive = DIRECTIVES.get(name.lower())
            if directive is None:
                raise CommandError(
                    b"ERR Unknown option or number of arguments for CONFIG SET - '%b'"
                    % bytes_from(name),
                )
            if directive.has(Trait.IMMUTABLE):
                raise _set_failed(name, "can't set immutable config")
            if directive.has(Trait.PROTECTED) and not self._may_set_protected(is_local):
                raise _set_failed(name, "can't set protected config")
            if is_loading and directive.has(Trait.NOT_WHILE_LOADING):
                raise LOADING
            if _names_twice(name, directive, chosen):
                raise _set_failed(name, "duplicate parameter")
            chosen.append((name, directive, text))
        return chosen

    def _may_set_protected(self, is_local: bool) -> bool:
        allowed = self.enable_protected_configs
        return allowed == "yes" or (allowed == "local" and is_local)

    def _apply(self, chosen: list[tuple[str, AnyDirective, str]], new_values: list[object]) -> None:
        old_values = [self.__dict__[directive.attribute] for _, directive, _ in chosen]
        changed: list[tuple[str, AnyDirective]] = []
        for (name, directive, _), old, new in zip(chosen, old_values, new_values, strict=True):
            self.__dict__[directive.attribute] = new
            if old != new or directive.has(Trait.VOLATILE):
                changed.append((name, directive))
        called: list[Hook] = []
        for name, directive in changed:
            for hook in self._hooks_of(directive):
                if hook in called:
                    continue
                called.append(hook)
                reason = hook()
                if reason is None:
                    continue
                for (_, other, _), old in zip(chosen, old_values, strict=True):
                    self.__dict__[other.attribute] = old
                for earlier in called:
                    earlier()
                raise _set_failed(name.lower(), reason)
        for _, directive in changed:
            self._warn_if_unsupported(directive)

    def _hooks_of(self, directive: AnyDirective) -> list[Hook]:
        hooks = self._hooks.get(directive.name, [])
        return [self._enter_directory, *hooks] if directive.name == "dir" else hooks

    def _enter_directory(self) -> str | None:
        if self._files is None:
            return None
        try:
            self.__dict__["dir"] = self._files.enter_directory(self.dir)
        except OSError as failure:
            return failure.strerror or str(failure)
        return None

    def _warn_if_unsupported(self, directive: AnyDirective) -> None:
        is_default = self.__dict__[directive.attribute] == directive.default
        if not directive.supported and not is_default:
            self._warn_once(directive.name)

    def _warn_once(self, name: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            self.warnings.append(f"Directive '{name}' is accepted, but has no effect here.")

    # --- files and the command line ---------------------------------------------------------------

    def on_line(self, name: str, handler: LineHandler) -> None:
        """Have `user`, `rename-command` or `loadmodule` lines handed to `handler`."""
        assert name in FILE_ONLY, name
        self._line_handlers[name] = handler

    def load(self, text: str) -> None:
        """Take in a configuration text. After a `ConfigError` the values are useless."""
        self._load_lines(text, depth=0)
        if self.cluster_enabled and self.replicaof is not None:
            raise ConfigFileError(None, "", "replicaof directive not allowed in cluster mode")
        if self.cluster_enabled and self.databases > 1:
            if "databases" in self._loaded:
                self.warnings.append(
                    f"WARNING: Changing databases number from {self.databases} to 1 since we are"
                    " in cluster mode",
                )
            self.__dict__["databases"] = 1

    def _load_lines(self, text: str, depth: int) -> None:
        for number, raw in enumerate(text.partition("\0")[0].split("\n"), start=1):
            line = raw.strip(" \t\r\n")
            if not line or line.startswith("#"):
                continue
            words = maybe_split_words(line)
            if words is None:
                raise ConfigFileError(number, line, "Unbalanced quotes in configuration line")
            if not words:
                continue
            try:
                self._load_line(words[0].lower(), words[1:], depth)
            except RefusedError as refused:
                raise ConfigFileError(number, line, refused.reason) from None

    def _load_line(self, name: str, words: list[str], depth: int) -> None:
        directive = maybe_directive_of_line(name)
        if directive is not None:
            self._load_directive(directive, words)
        elif name in FORGOTTEN and len(words) == 1:
            return
        elif name == "include" and len(words) == 1:
            self._include(words[0], depth)
        elif name in FILE_ONLY and _fits(len(words), FILE_ONLY[name]):
            self._load_other(name, words)
        elif name in UNKNOWN_TO_CONFIG and words:
            self._warn_once(name)
        elif "." in name:
            if not words:
                raise RefusedError("Module config specified without value")
            self._warn_once(name)
        elif name == "sentinel":
            if words:
                raise RefusedError("sentinel directive while not in sentinel mode")
        else:
            raise RefusedError(_BAD_DIRECTIVE)

    def _load_directive(self, directive: AnyDirective, words: list[str]) -> None:
        if directive.kind.takes_many_words:
            if len(words) == 1 and words[0]:
                # `--bind "127.0.0.1 ::1"`: one quoted argument may hold all of them.
                words = maybe_split_words(words[0]) or []
        elif len(words) != 1:
            raise RefusedError(_WRONG_NUMBER)
        current = self.__dict__[directive.attribute]
        is_first = directive.name not in self._loaded
        self.__dict__[directive.attribute] = directive.parse_in_file(words, current, is_first)
        self._loaded.add(directive.name)
        if directive.name == "dir":
            reason = self._enter_directory()
            if reason is not None:
                raise RefusedError(reason)
        self._warn_if_unsupported(directive)

    def _load_other(self, name: str, words: list[str]) -> None:
        handler = self._line_handlers.get(name)
        if handler is None:
            self.other_lines.append((name, words))
            if name == "loadmodule":
                self._warn_once(name)
            return
        reason = handler(words)
        if reason is not None:
            raise RefusedError(reason)

    def _include(self, path: str, depth: int) -> None:
        if depth >= INCLUDE_DEPTH_MAX:
            raise RefusedError(f"include directives are nested more than {INCLUDE_DEPTH_MAX} deep")
        if self._files is None:
            raise UnreadableFileError(path, "there are no files here")
        paths = [path]
        if any(letter in path for letter in "*?["):
            paths = self._files.glob(path)
        text = ""
        for each in paths:
            try:
                text += self._files.read(each)
            except OSError as failure:
                raise UnreadableFileError(each, failure.strerror or str(failure)) from None
        self._load_lines(text, depth + 1)

    def rewrite(self, old_text: str, user_lines: Sequence[str] | None = None) -> str:
        """CONFIG REWRITE: the file's new text.

        `user_lines` describe the users (`name rules...`); None leaves the file's own lines alone.
        """
        rewriter = Rewriter(_maybe_line_name)
        rewriter.read(old_text)
        for directive in AllDirectives.directives():
            value = self.__dict__[directive.attribute]
            lines = directive.kind.rewrite_lines(value, directive.default)
            if directive.name == "replicaof" and self.cluster_enabled:
                lines = []  # Who replicates whom is in nodes.conf.
            if directive.name == "databases" and self.cluster_enabled:
                lines = [RewriteLine(line.arguments, forced=False) for line in lines]
            rewriter.replace(directive.name, lines)
        if self.aclfile:
            rewriter.replace("user", [])
        elif user_lines is not None:
            rewriter.replace("user", [RewriteLine(line, forced=True) for line in user_lines])
        return rewriter.result()


def _fits(count: int, bounds: tuple[int, int | None]) -> bool:
    lowest, highest = bounds
    return lowest <= count and (highest is None or count <= highest)


def _names_twice(
    name: str, directive: AnyDirective, chosen: list[tuple[str, AnyDirective, str]]
) -> bool:
    # Redis takes a name and its old form for two directives, so `slave-priority` may follow
    # `replica-priority`; the later one wins.
    return any(
        other is directive and (seen.lower() == directive.name) == (name.lower() == directive.name)
        for seen, other, _ in chosen
    )


def _maybe_line_name(name: str) -> str | None:
    directive = maybe_directive_of_line(name)
    if directive is not None:
        return directive.name
    is_kept = name in FILE_ONLY or name in UNKNOWN_TO_CONFIG or name == "sentinel"
    return name if is_kept else None


def _set_failed(name: str, reason: str) -> CommandError:
    text = f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    return CommandError(bytes_from(text))
