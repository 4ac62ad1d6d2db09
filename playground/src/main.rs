//! The playground's command line.

fn main() {}
