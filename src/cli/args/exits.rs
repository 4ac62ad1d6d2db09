//! What stands below the options in a command's help: an example, and the exit codes.

const WRONG: (&str, &str) = ("2", "usage or inventory wrong");
const STOPPED: (&str, &str) = ("130", "Ctrl-C");

/// Of the commands that change the site.
pub const CHANGE: &[(&str, &str)] = &[
    ("0", "done"),
    ("1", "failed, and everything is as it was before"),
    ("2", "usage or inventory wrong, nothing touched"),
    ("3", "refused, nothing touched: the message says what is allowed"),
    ("4", "the release is not healthy; no traffic was moved to it"),
    ("5", "open: `bg resume` finishes it, `bg abort` undoes it"),
    ("130", "Ctrl-C: the step under way was finished; open, unless it was the last"),
];
/// Of `setup`, which `abort` cannot undo: there is nothing before it.
pub const SETUP: &[(&str, &str)] = &[
    CHANGE[0],
    CHANGE[1],
    CHANGE[2],
    CHANGE[3],
    ("4", "the release is not healthy on a server"),
    ("5", "open: `bg setup` again, or `bg resume`, finishes it"),
    CHANGE[6],
];
/// Of `confirm`.
pub const CONFIRM: &[(&str, &str)] = &[
    ("0", "done: the traffic stays"),
    ("1", "too late: the traffic went back by itself"),
    CHANGE[2],
    CHANGE[3],
    ("5", "not every balancer could be told, or one went back: `bg status`"),
    CHANGE[6],
];
/// Of `abort`.
pub const ABORT: &[(&str, &str)] =
    &[CHANGE[0], CHANGE[1], CHANGE[2], CHANGE[3], ("5", "open: `bg abort` again, or `bg resume`, goes on"), CHANGE[6]];
/// Of `init`.
pub const INIT: &[(&str, &str)] = &[("0", "done"), ("1", "a file could not be written"), ("2", "usage wrong")];
/// Of `check`.
pub const CHECK: &[(&str, &str)] = &[
    ("0", "all is well"),
    ("1", "findings on the hosts, each with how to mend it"),
    ("2", "usage or inventory wrong: every error with its place"),
    STOPPED,
];
/// Of `status`.
pub const STATUS: &[(&str, &str)] = &[
    ("0", "done, whatever it shows; also Ctrl-C, which is how --watch ends"),
    ("1", "the journal cannot be read, or is lost; the hosts are shown all the same"),
    WRONG,
    ("130", "Ctrl-C without --watch"),
];
/// Of `exec`.
pub const EXEC: &[(&str, &str)] =
    &[("0", "done on every host"), ("1", "it failed on a host, which is named"), WRONG, STOPPED];
/// Of `lock`.
pub const LOCK: &[(&str, &str)] =
    &[("0", "held"), ("1", "the journal cannot be read"), WRONG, ("3", "held already, or there is no site yet")];
/// Of `unlock`.
pub const UNLOCK: &[(&str, &str)] = &[
    ("0", "released, or not held"),
    ("1", "the journal cannot be reached"),
    WRONG,
    ("3", "refused: what is held there is no lock by hand"),
];
/// Of `journal copy`.
pub const COPY: &[(&str, &str)] = &[
    ("0", "moved"),
    ("1", "not finished: FROM is still the site's journal, unless it says otherwise"),
    WRONG,
    ("3", "refused, nothing touched"),
    STOPPED,
];
/// Of `shell`.
pub const SHELL: &[(&str, &str)] = &[("0", "done"), ("2", "usage wrong")];

const WAIT: &str = "With --wait commands take turns, first come, first served; Ctrl-C leaves the queue, and a lock by hand \
    (`bg lock`) is not waited for. At its turn a command decides everything by how the site stands then; a deploy brings what \
    its artifacts were when it was started.";
const SKIP: &str = " With --skip-superseded only the newest deploy in the queue goes through, for teams that merge faster than \
    they deploy; the others exit with 3.";

/// The end of the help of a command that takes its turn.
pub fn turn(example: &str, exits: &[(&str, &str)]) -> String {
    format!("{}\n\n{WAIT}", end(example, exits))
}

/// The end of deploy's help.
pub fn deploy(example: &str) -> String {
    turn(example, CHANGE) + SKIP
}

/// The end of a command's help.
pub fn end(example: &str, exits: &[(&str, &str)]) -> String {
    let codes: Vec<String> = exits.iter().map(|(code, means)| format!("  {code:<3}  {means}")).collect();
    format!("Example:\n  {example}\n\nExit codes:\n{}", codes.join("\n"))
}
