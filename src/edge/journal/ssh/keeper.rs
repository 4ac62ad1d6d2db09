//! The operator's end of the keeper, which holds this command's place in the queue on the journal's host: it tells the
//! keeper that this command lives, and knows when that was heard last.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{super::store::awake_or_not, answer::KEEPER};
use crate::edge::host::{Host, HostError, Line, Stdin, Stream, last_lines};

/// Beats in the time of a lease: two may be late or lost.
const BEATS: u32 = 3;
/// For the keeper's first word, beyond the patience for the queue: a busy host starts some processes for it.
const ENTER: Duration = Duration::from_secs(15);
/// What ends a keeper is its lease. This only lets no watchdog count for ever, and is longer than any command.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// Between the messages and the connection.
const BUFFER: usize = 64 * 1024;
/// Characters of a message.
const MESSAGE: usize = 64;
/// Lines of standard error that are kept.
const QUOTED_LINES: usize = 3;

/// A ticket in the queue on the host, and the process there that keeps it. Dropped, its input ends, and with it the ticket.
pub(super) struct Keeper {
    /// The ticket's file on the host: its id.
    pub ticket: String,
    /// What tells the file from another of that name.
    pub identity: String,
    lease: Duration,
    talk: Arc<Talk>,
    messages: mpsc::UnboundedSender<Message>,
    tasks: Vec<AbortHandle>,
}

/// Why there is no keeper.
#[derive(Clone)]
pub(super) enum NotKept {
    Host(HostError),
    /// The script stopped and said why.
    Stopped(String),
    /// It ended, or never said anything.
    Ended(String),
}

/// No answer came, and none will: the connection or the lease is gone.
pub(super) struct Gone;

struct Message {
    bytes: Vec<u8>,
    answer: Option<oneshot::Sender<String>>,
}

/// What was said to the keeper and by it.
struct Talk(Mutex<Said>);

struct Said {
    /// What was not answered yet: since when, and who waits. Answers come in this order.
    asked: VecDeque<(Duration, Option<oneshot::Sender<String>>)>,
    /// When the last message that was answered was sent.
    heard: Duration,
    /// Why there will be no more answers.
    ended: Option<NotKept>,
    /// The last lines of standard error.
    complaint: String,
}

impl Talk {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, answer: Option<oneshot::Sender<String>>) {
        self.said().asked.push_back((awake_or_not(), answer));
    }

    fn hear(&self, line: Line) {
        let mut said = self.said();
        if line.stream == Stream::Stderr {
            said.complaint = last_lines(&format!("{}\n{}", said.complaint, line.text), QUOTED_LINES);
            return;
        }
        if line.text == "over" {
            said.end(NotKept::Ended("its lease ran out".to_owned()));
            return;
        }
        if let Some((sent, answer)) = said.asked.pop_front() {
            said.heard = sent;
            // Nobody waits for the answer to a beat.
            let _ = answer.map(|answer| answer.send(line.text));
        }
    }

    fn end(&self, result: Result<i32, HostError>) {
        let mut said = self.said();
        let why = match result {
            Err(error) => NotKept::Host(error),
            Ok(status) => NotKept::Ended(match said.complaint.as_str() {
                "" => format!("its keeper there ended with status {status}"),
                complaint => complaint.to_owned(),
            }),
        };
        said.end(why);
    }
}

impl Said {
    fn end(&mut self, why: NotKept) {
        self.ended.get_or_insert(why);
        // Whoever waits is told by the end of its channel.
        self.asked.clear();
    }
}

impl Keeper {
    /// Enters the queue. `values` are the script's; `patience` is the time that they allow for the queue.
    pub async fn start(
        host: Host,
        values: Vec<String>,
        lease: Duration,
        patience: Duration,
    ) -> Result<Keeper, NotKept> {
        host.connect().await.map_err(NotKept::Host)?;
        let (input, output) = tokio::io::duplex(BUFFER);
        let said = Said { asked: VecDeque::new(), heard: awake_or_not(), ended: None, complaint: String::new() };
        let talk = Arc::new(Talk(Mutex::new(said)));
        let (answer, entered) = oneshot::channel();
        talk.ask(Some(answer));
        let run = KEEPER.run(values).timeout(KEEP).stdin(Stdin::Reader(Box::new(output)));
        let listener = tokio::spawn({
            let talk = talk.clone();
            async move {
                let ended = host.stream(run, |line| talk.hear(line)).await;
                talk.end(ended);
            }
        });
        let (messages, to_send) = mpsc::unbounded_channel();
        let tasks = vec![listener.abort_handle()];
        let mut keeper =
            Keeper { ticket: String::new(), identity: String::new(), lease, talk: talk.clone(), messages, tasks };
        let line = match timeout(patience + ENTER, entered).await {
            Ok(Ok(line)) => line,
            Ok(Err(_)) => return Err(keeper.why()),
            Err(_) => return Err(NotKept::Ended("its keeper there said nothing in time".to_owned())),
        };
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("ticket"), Some(identity), Some(path)) => {
                (keeper.ticket, keeper.identity) = (path.to_owned(), identity.to_owned());
            }
            _ => return Err(NotKept::Stopped(line)),
        }
        let sender = tokio::spawn(send(input, to_send, talk, lease / BEATS));
        keeper.tasks.push(sender.abort_handle());
        Ok(keeper)
    }

    /// Whether the lock cannot be relied on any more, by this machine's own clock: the keeper may have let go of it.
    pub fn is_over(&self) -> bool {
        let said = self.talk.said();
        said.ended.is_some() || awake_or_not().saturating_sub(said.heard) >= self.lease
    }

    /// Sends a message, and what belongs to it, and waits for its answer, no longer than the lease.
    pub async fn ask(&self, words: &str, data: &[u8]) -> Result<String, Gone> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message { bytes: message(words, data), answer: Some(answer) }).map_err(|_| Gone)?;
        match timeout(self.lease, answered).await {
            Ok(Ok(line)) => Ok(line),
            _ => Err(Gone),
        }
    }

    /// Why it ended; for its messages only.
    pub fn why(&self) -> NotKept {
        let ended = self.talk.said().ended.clone();
        ended.unwrap_or_else(|| NotKept::Ended("it did not answer in time".to_owned()))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// As the keeper reads it.
fn message(words: &str, data: &[u8]) -> Vec<u8> {
    [format!("{words:<MESSAGE$}").as_bytes(), data].concat()
}

/// Sends the messages in order, and beats between them.
async fn send(
    mut input: DuplexStream,
    mut messages: mpsc::UnboundedReceiver<Message>,
    talk: Arc<Talk>,
    every: Duration,
) {
    let mut beat = interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            _ = beat.tick() => Some(Message { bytes: message("beat", &[]), answer: None }),
        };
        let Some(Message { bytes, answer }) = message else { return };
        talk.ask(answer);
        if input.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
