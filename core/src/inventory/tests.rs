use super::*;
#[test]
fn the_example_parses() {
    let inventory = parse("production", "inventory/example.toml", EXAMPLE).unwrap_or_else(|e| panic!("{e}"));
    insta::assert_debug_snapshot!(inventory);
}
