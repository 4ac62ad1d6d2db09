//! The program under its long name, `bluegreen`: scripts, CI and cron use it.

fn main() {}
