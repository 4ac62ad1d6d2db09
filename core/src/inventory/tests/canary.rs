//! `SEGMENT=PERCENT`.

use super::*;
use crate::traffic::Share;

fn canary(args: &[&str]) -> Result<Vec<(String, u16)>, String> {
    let inventory = good(&with("[segments.staff]\naddress = \"10.0.0.0/8\""));
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let shares = parse_canary(&inventory, &args).map_err(|errors| errors.to_string())?;
    Ok(shares.into_iter().map(|share| (share.segment, share.green.hundredths())).collect())
}

#[test]
fn percentages_are_exact_to_a_hundredth() {
    let good = [("0", 0), ("10", 1000), ("10%", 1000), ("0.25%", 25), ("0.01", 1), ("99.9%", 9990), ("100%", 10_000)];
    for (text, hundredths) in good.into_iter().chain([("007", 700), ("100.00", 10_000)]) {
        assert_eq!(parse_percent(text).map(Share::hundredths), Ok(hundredths), "{text}");
    }
    let bad = ["", "%", "ten", "10%%", "1.", ".5", "1e1", "+5", " 5", "5 %", "1.2.3", "٣"];
    for text in bad {
        assert!(parse_percent(text).unwrap_err().contains("is no percentage"), "{text}");
    }
    for text in ["0.001", "10.123%", "1.000"] {
        assert!(parse_percent(text).unwrap_err().contains("is finer than 0.01%"), "{text}");
    }
    for text in ["100.01", "101", "-1", "-0.5%", "65536", "655.37", "99999999999999999999"] {
        assert!(parse_percent(text).unwrap_err().contains("is outside 0–100%"), "{text}");
    }
}

#[test]
fn every_segment_gets_a_share_and_the_unnamed_that_of_all() {
    let shares = |mobile, staff, all| {
        Ok(vec![("mobile".to_owned(), mobile), ("staff".to_owned(), staff), ("all".to_owned(), all)])
    };
    assert_eq!(canary(&["mobile=10%"]), shares(1000, 0, 0));
    assert_eq!(canary(&["all=5", "mobile=0.5"]), shares(50, 500, 500));
    assert_eq!(canary(&["staff=0", "all=100%"]), shares(10_000, 0, 10_000));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let errors = [
        canary(&[]),
        canary(&["mobile"]),
        canary(&["mobile=0%", "all=0"]),
        canary(&["mobil=10%", "mobile=101", "mobile=1", "staff=x", "mobile=2", "zzz=0.001"]),
    ];
    let errors: Vec<String> = errors.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(errors.join("\n----\n"));
}
