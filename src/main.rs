//! The program under its long name, `bluegreen`: scripts, CI and cron use it.

fn main() -> std::process::ExitCode {
    exit(bluegreen::cli::run(std::env::args_os()))
}

fn exit(code: i32) -> std::process::ExitCode {
    std::process::ExitCode::from(u8::try_from(code).unwrap_or(1))
}
