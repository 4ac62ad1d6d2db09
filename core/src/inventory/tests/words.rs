//! Template words.

use super::*;

fn words() -> Words {
    let word = |word: &str| word.to_owned();
    Words {
        release: word("1.4-g0ff"),
        version: word("v7"),
        site: word("shop"),
        pool: word("web"),
        half: word("green"),
        host: word("web2"),
        port: word("3000"),
    }
}

#[test]
fn words_are_filled_in() {
    let all = "{{ release }} {{version}} {{  site}} {{ pool }}/{{ half }} {{ host }}:{{ port }}";
    assert_eq!(fill(all, &words()).unwrap(), "1.4-g0ff v7 shop web/green web2:3000");
}

#[test]
fn everything_else_is_the_user_s_own_text() {
    for text in ["", "a}}b", "${#var} ${a:-${b}}", "awk '{print $1}' é", "{ { site } }", "{# no comment #}"] {
        assert_eq!(fill(text, &words()).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_filled_is_an_error() {
    assert_eq!(fill("a {{ relase }}", &words()).unwrap_err(), "`{{ relase }}` has no value here");
    assert_eq!(fill("{{ site", &words()).unwrap_err(), "`{{` is never closed");
    let artifact = Words { half: String::new(), ..words() };
    assert_eq!(fill("{{ half }}", &artifact).unwrap_err(), "`{{ half }}` has no value here");
}

#[test]
fn a_wrong_word_is_found_in_the_inventory() {
    let unpack = |artifact: &str, root: &str, restart: &str, service: &str| {
        with_deploy(&format!("artifact = '{artifact}', root = '{root}', restart = '{restart}', service = '{service}'"))
    };
    let texts = [
        unpack("dist/{{ relase }}.tar", "/srv/{{ poool }}", "r {{ release | upper }} {{ no", "{{ foo }}"),
        unpack("{{ host }}.tar", "/srv/{{ release }}", "{% if site %}x{% endif %}", "web@{{ half }}; reboot"),
        with_deploy("run = \"x {{ Half }} {{- host -}}\""),
        with_pool("health.run = \"check {{ prot }}\""),
    ];
    insta::assert_snapshot!(shown(&texts));
}
