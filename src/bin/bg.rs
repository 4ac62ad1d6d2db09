//! The program under its short name, `bg`.

fn main() {}
