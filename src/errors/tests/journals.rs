//! Journals: opening, reading, appending.

use std::time::Duration;

use bluegreen_core::{lock::Hold, rollout::Moved};

use super::{AHEAD, anna, ended, every, queued, read_aloud, text};
use crate::{
    edge::journal::{Mend, OpenError, StoreError},
    engine::Outcome,
};

fn store_errors() -> Vec<(&'static str, StoreError)> {
    let mends = every!(Mend:
        Mend::Room => Mend::Room,
        Mend::RoomInEtcd => Mend::RoomInEtcd,
        Mend::Rights => Mend::Rights,
        Mend::Host => Mend::Host,
        Mend::Members => Mend::Members,
    );
    let mut errors = every!(StoreError:
        StoreError::Failed(_) => StoreError::Failed(text("the journal `.bg/shop` could not be read: Is a directory (os error 21)")),
        StoreError::Mendable { .. } => StoreError::Mendable {
            why: text("the journal `ssh:lb1:/var/lib/bg/shop` could not be read: `lb1` is unreachable: Connection refused"),
            mend: Mend::Host,
        },
        StoreError::Unknown(_) => StoreError::Unknown(text(
            "whether the last record reached the journal is not known: `lb1`: the connection was lost during `append`. Nothing more was done",
        )),
        StoreError::Conflict(_) => StoreError::Conflict(text("somebody else appended to it while this command was under way")),
        StoreError::Lost(_) => StoreError::Lost(text(
            "this command lost the lock of the journal `ssh:lb1:/var/lib/bg/shop`: its lease was not renewed in time (the \
             connection was gone, or this machine slept), and another command may have it now. Nothing more was done",
        )),
    );
    errors.extend(mends.into_iter().map(|(name, mend)| (name, StoreError::Mendable { why: text("…"), mend })));
    errors
}

#[test]
fn journals() {
    let hold = |why: Option<&str>, copy_of: Option<&str>| {
        let (why, copy_of) = (why.map(text), copy_of.map(text));
        OpenError::Held(Box::new(Hold { by: anna(), since: text(AHEAD), why, copy_of }))
    };
    let moved = |to: &str| OpenError::Moved(Box::new(Moved { to: text(to), by: anna(), since: text(AHEAD) }));
    let name = || text(".bg/shop");
    let open = every!(OpenError:
        OpenError::Locked(_) => OpenError::Locked(vec![queued("deploy", Some("2.0"))]),
        OpenError::Locked(_) => OpenError::Locked(vec![queued("deploy", Some("2.0")), queued("flip", None)]),
        OpenError::Held(_) => hold(Some("audit until Monday"), None),
        OpenError::Held(_) => hold(None, None),
        OpenError::Held(_) => hold(None, Some("file:.bg/shop")),
        OpenError::Held(_) => OpenError::Held(Box::new(Hold::read(b"{"))),
        OpenError::NotFree { .. } => OpenError::NotFree {
            ahead: vec![queued("restore", None)], waited: Duration::from_secs(3_600),
        },
        OpenError::Overtaken(_) => OpenError::Overtaken(Box::new(queued("deploy", Some("2.1")).ticket)),
        OpenError::Stopped => OpenError::Stopped,
        OpenError::Moved(_) => moved("ssh:lb1:/var/lib/bg/shop"),
        OpenError::Moved(_) => moved("file:.bg/shop"),
        OpenError::Newer { .. } => OpenError::Newer { name: name(), line: 12, why: text("it was written in format 2, and this program reads up to 1: use a newer bg") },
        OpenError::Damaged { .. } => OpenError::Damaged { name: name(), line: 12, why: text("its checksum does not match its content") },
        OpenError::Store(_) => OpenError::Store(store_errors().remove(0).1),
        OpenError::Store(_) => OpenError::Store(store_errors().remove(4).1),
    );
    let cards: Vec<String> = open.into_iter().map(|(name, error)| ended(name, &Outcome::from(error))).collect();
    insta::assert_snapshot!(read_aloud(&cards));
}

/// As the first append of a command: what it had begun already is said where that is known.
#[test]
fn appends() {
    let cards: Vec<String> = store_errors()
        .into_iter()
        .map(|(name, error)| ended(name, &Outcome::from(error.in_append(".bg/shop"))))
        .collect();
    insta::assert_snapshot!(read_aloud(&cards));
}
