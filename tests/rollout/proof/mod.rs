//! What the other tests assert of one case, proven of all: every kill point, every step failed and done twice, every way
//! for a journal to be damaged, many simultaneous starts. Each counts what it met and says it on the terminal.

mod clean;
mod faults;
mod matrix;
mod operator;
mod random;
mod row;
mod site;
mod starts;
mod steps;
mod tally;
mod torn;
mod twice;
mod victims;
