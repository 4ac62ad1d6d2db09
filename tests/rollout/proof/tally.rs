//! What the proofs counted, said on the terminal past the test harness, and in the file `$BG_TALLY` for `make soak`.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What one test counted, by name.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// So many more.
    pub fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    /// The longest of all.
    pub fn longest(&mut self, what: &'static str, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let most = self.0.entry(what).or_default();
        *most = ms.max(*most);
    }

    /// One line: the name, the seed, the counts.
    pub fn say(&self, name: &str, seed: u64) {
        let counts: Vec<String> = self.0.iter().map(|(what, count)| format!("{what}={count}")).collect();
        let line = format!("tally {name}: BG_SEED={seed} {}\n", counts.join(" "));
        // One write: other tests write there too.
        let _no_terminal = std::io::stderr().write_all(line.as_bytes());
        if let Some(file) = env::var_os("BG_TALLY") {
            let mut file = File::options().create(true).append(true).open(file).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
    }
}

/// `$BG_SEED`, or another one each time: so the rotation meets every pair of kill point and follow-up in time.
pub fn seed() -> u64 {
    let given = env::var("BG_SEED").ok().and_then(|text| text.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    given.unwrap_or_else(now)
}
