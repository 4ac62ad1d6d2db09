//! Where the site stands on its way, and who gets which half.

use bluegreen_core::rollout::Stage;

use crate::cli::{
    measure::{columns, padded},
    screen::Screen,
};

/// The cells of a segment's bar.
const CELLS: usize = 20;

/// The stages in their order, and below them a mark at the present one. The journey ends where it began.
pub fn journey(now: Stage, screen: Screen) -> Vec<String> {
    let stages: Vec<(Stage, bool)> =
        Stage::ALL.into_iter().map(|stage| (stage, stage == now)).chain([(Stage::ALL[0], false)]).collect();
    let way = screen.glyphs.way;
    let names: usize = stages.iter().map(|(stage, _)| columns(stage.as_str())).sum();
    let room = screen.width.saturating_sub(3).max(20);
    // As long ways between the stages as fit.
    let gap = (1..=2).rev().find(|length| names + (stages.len() - 1) * (length + 2) <= room);
    let between = format!(" {} ", way.repeat(gap.unwrap_or(1)));
    let (mut lines, mut line, mut used, mut here) = (Vec::new(), String::new(), 0, None);
    for (number, (stage, is_now)) in stages.iter().enumerate() {
        let last = number + 1 == stages.len();
        let taken = columns(stage.as_str()) + if last { 0 } else { columns(&between) };
        if used > 0 && used + taken > room {
            end(&mut lines, &mut line, &mut here, screen);
            used = 0;
        }
        if *is_now {
            here = Some(used);
        }
        line.push_str(&if *is_now { screen.paint_out(stage.as_str(), "1;32") } else { stage.to_string() });
        if !last {
            line.push_str(&between);
        }
        used += taken;
    }
    end(&mut lines, &mut line, &mut here, screen);
    lines
}

fn end(lines: &mut Vec<String>, line: &mut String, here: &mut Option<usize>, screen: Screen) {
    lines.push(format!("  {}", std::mem::take(line).trim_end()));
    if let Some(at) = here.take() {
        let mark = format!("{} you are here", screen.glyphs.here);
        lines.push(format!("  {}{}", " ".repeat(at), screen.paint_out(&mark, "1;32")));
    }
}

/// A bar for each segment: how much of it goes to green.
pub fn shares(shares: &[(String, f64)], screen: Screen) -> Vec<String> {
    let names = shares.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let cells = CELLS.min(screen.width.saturating_sub(names + 20)).max(4);
    let bar = |(name, percent): &(String, f64)| {
        let full = cells_of(*percent, cells);
        let green = screen.paint_out(&screen.glyphs.full.repeat(full), "32");
        let blue = screen.paint_out(&screen.glyphs.empty.repeat(cells - full), "34");
        format!("  {}  {green}{blue}  {percent}% green", padded(name, names))
    };
    shares.iter().map(bar).collect()
}

/// Something is never drawn as nothing, nor as everything.
fn cells_of(percent: f64, cells: usize) -> usize {
    if percent <= 0.0 {
        return 0;
    }
    if percent >= 100.0 {
        return cells;
    }
    (1..cells).rev().find(|full| percent >= 100.0 * (*full as f64) / (cells as f64)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::ASCII;

    fn screen(width: usize) -> Screen {
        Screen { width, ..Screen::bare("bg", false) }
    }

    #[test]
    fn the_journey_is_drawn_with_a_mark_at_the_present_stage() {
        let wanted = [
            "  balanced ── isolated ── staged ── canary ── flipped ── restoring ── balanced",
            "                                    ▲ you are here",
        ];
        assert_eq!(journey(Stage::Canary, screen(80)), wanted);
        assert_eq!(journey(Stage::Balanced, screen(80))[1], "  ▲ you are here");
        for (stage, width) in Stage::ALL.into_iter().flat_map(|stage| [30, 40, 60, 80, 200].map(|width| (stage, width)))
        {
            let lines = journey(stage, screen(width));
            assert!(lines.iter().all(|line| columns(line) <= width), "{width}: {lines:#?}");
            assert_eq!(lines.iter().filter(|line| line.contains("▲ you are here")).count(), 1);
        }
        let narrow = journey(Stage::Flipped, Screen { glyphs: ASCII, ..screen(40) });
        let wanted = [
            "  balanced - isolated - staged -",
            "  canary - flipped - restoring -",
            "           ^ you are here",
            "  balanced",
        ];
        assert_eq!(narrow, wanted);
    }

    #[test]
    fn each_segment_has_a_bar() {
        let split = [("mobile".to_owned(), 10.0), ("all".to_owned(), 0.0)];
        let wanted = ["  mobile  ██░░░░░░░░░░░░░░░░░░  10% green", "  all     ░░░░░░░░░░░░░░░░░░░░  0% green"];
        assert_eq!(shares(&split, screen(80)), wanted);
        assert_eq!(
            shares(&split[..1], Screen { glyphs: ASCII, ..screen(30) }),
            ["  mobile  ....  10% green".replace("....", "#...")]
        );
        let full = |percent| cells_of(percent, 20);
        assert_eq!([0.0, 0.01, 50.0, 99.99, 100.0].map(full), [0, 1, 10, 19, 20]);
    }
}
