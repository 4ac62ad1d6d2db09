//! The user's shell lines `test` and `reload`, and what bg derives from `test`.
//!
//! Two lines are derived by reading words, never by editing quoted text: [`dump`] (nginx's whole configuration) and
//! [`trial`] (a test of bg's own minimal configuration). That works for a plain line, such as `nginx -t`,
//! `/opt/nginx/sbin/nginx -p /opt/nginx -c site.conf -t` or `docker exec web nginx -t`. A line that needs a shell to be
//! understood (quotes, variables, pipes), or has no `-t`, falls back to `nginx -T` and `nginx -t -c …`.

/// Programs that take nginx's options.
const PROGRAMS: [&str; 4] = ["nginx", "nginx-debug", "openresty", "angie"];

/// The line as it is run: with `sudo -n` in front of the user's own words, so that sudoers can name exactly them.
pub fn as_run(line: &str, sudo: bool) -> String {
    if sudo { format!("sudo -n {line}") } else { line.to_owned() }
}

/// The line that prints nginx's whole configuration: `test` with `-T` for `-t`.
pub fn dump(test: &str) -> String {
    match Nginx::read(test) {
        Some(mut nginx) => {
            nginx.words[nginx.test] = "-T";
            nginx.words.join(" ")
        }
        None => "nginx -T".to_owned(),
    }
}

/// The line that tests `conf` (a plain absolute path) instead of nginx's own configuration.
pub fn trial(test: &str, conf: &str) -> String {
    let Some(Nginx { words, program, test }) = Nginx::read(test) else { return format!("nginx -t -c {conf}") };
    let mut line: Vec<&str> = Vec::new();
    let mut skip = false;
    for (index, word) in words.iter().enumerate() {
        if skip || (index > program && *word == "-c") {
            skip = !skip;
            continue;
        }
        line.push(word);
        if index == test {
            line.extend(["-c", conf]);
        }
    }
    line.join(" ")
}

/// A plain line that runs nginx with `-t`.
struct Nginx<'a> {
    words: Vec<&'a str>,
    program: usize,
    test: usize,
}

impl Nginx<'_> {
    fn read(line: &str) -> Option<Nginx<'_>> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b" /._+:=,@%-".contains(&b);
        if !line.bytes().all(plain) {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_program = |word: &str| PROGRAMS.contains(&word.rsplit('/').next().unwrap_or_default());
        // The last word of that name before the -t: a container may be called nginx too.
        let test = words.iter().rposition(|word| *word == "-t")?;
        let program = words[..test].iter().rposition(|word| is_program(word))?;
        Some(Nginx { words, program, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_keeps_its_words() {
        for (test, dumped, tried) in [
            ("nginx -t", "nginx -T", "nginx -t -c /x/nginx.conf"),
            ("/usr/sbin/nginx -q -t", "/usr/sbin/nginx -q -T", "/usr/sbin/nginx -q -t -c /x/nginx.conf"),
            ("nginx -p /a/ -c /a/b.conf -t", "nginx -p /a/ -c /a/b.conf -T", "nginx -p /a/ -t -c /x/nginx.conf"),
            ("nginx -t -c /a/b.conf", "nginx -T -c /a/b.conf", "nginx -t -c /x/nginx.conf"),
            (
                "docker exec -t nginx nginx -t",
                "docker exec -t nginx nginx -T",
                "docker exec -t nginx nginx -t -c /x/nginx.conf",
            ),
        ] {
            assert_eq!((dump(test).as_str(), trial(test, "/x/nginx.conf").as_str()), (dumped, tried), "{test}");
        }
    }

    #[test]
    fn a_line_that_needs_a_shell_or_has_no_test_falls_back() {
        for test in ["service nginx configtest", "nginx -g 'pid /x;' -t", "true; nginx -t", "$NGINX -t", "make -t", ""]
        {
            assert_eq!((dump(test).as_str(), trial(test, "/c").as_str()), ("nginx -T", "nginx -t -c /c"), "{test}");
        }
    }

    #[test]
    fn sudo_stands_in_front_of_the_users_own_words() {
        assert_eq!(as_run("nginx -t", true), "sudo -n nginx -t");
        assert_eq!(as_run("nginx -t", false), "nginx -t");
    }
}
