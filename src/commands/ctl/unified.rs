//! Two texts, compared line by line, as `diff -u` shows it.

use std::fmt::Write as _;

/// How many lines are shown around what differs.
const CONTEXT: usize = 3;
/// The most differences that are searched for; of texts further apart all lines between the first and the last differ.
const FAR: usize = 2_000;

/// One line of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Edit {
    Keep,
    Delete,
    Insert,
}

/// The difference, below the two names; nothing where there is none.
pub(super) fn diff(names: [&str; 2], before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let edits = edits(&old, &new);
    let mut out = String::new();
    for (start, end) in hunks(&edits) {
        if out.is_empty() {
            out = format!("--- {}\n+++ {}\n", names[0], names[1]);
        }
        hunk(&mut out, &edits, (start, end), &old, &new);
    }
    out
}

/// The fewest edits between what the beginning and the end have in common.
fn edits(old: &[&str], new: &[&str]) -> Vec<Edit> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut edits = vec![Edit::Keep; head];
    edits.extend(shortest(old, new).unwrap_or_else(|| {
        let mut all = vec![Edit::Delete; old.len()];
        all.resize(old.len() + new.len(), Edit::Insert);
        all
    }));
    edits.resize(edits.len() + tail, Edit::Keep);
    edits
}

/// Myers' greedy search (An O(ND) Difference Algorithm, 1986): how far each diagonal comes with so many edits.
fn shortest(old: &[&str], new: &[&str]) -> Option<Vec<Edit>> {
    let most = (old.len() + new.len()).min(FAR);
    let at = |k: isize| (k + most as isize + 1) as usize;
    let mut reach = vec![0usize; 2 * most + 3];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for d in 0..=most as isize {
        // What is needed of it on the way back.
        trace.push(reach[at(-d - 1)..=at(d + 1)].to_vec());
        for k in (-d..=d).step_by(2) {
            let down = k == -d || (k != d && reach[at(k - 1)] < reach[at(k + 1)]);
            let mut x = if down { reach[at(k + 1)] } else { reach[at(k - 1)] + 1 };
            let mut y = (x as isize - k) as usize;
            while x < old.len() && y < new.len() && old[x] == new[y] {
                (x, y) = (x + 1, y + 1);
            }
            reach[at(k)] = x;
            if x >= old.len() && y >= new.len() {
                return Some(back(&trace, (old.len(), new.len())));
            }
        }
    }
    None
}

/// The way from the end to the beginning, turned round.
fn back(trace: &[Vec<usize>], (mut x, mut y): (usize, usize)) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (d, reach) in trace.iter().enumerate().rev() {
        let d = d as isize;
        let at = |k: isize| (k + d + 1) as usize;
        let k = x as isize - y as isize;
        let down = k == -d || (k != d && reach[at(k - 1)] < reach[at(k + 1)]);
        let before = if down { k + 1 } else { k - 1 };
        let from = if d == 0 { 0 } else { reach[at(before)] };
        let (start_x, start_y) = (from, (from as isize - before).max(0) as usize);
        let step = (d > 0).then_some(if down { Edit::Insert } else { Edit::Delete });
        let (step_x, step_y) = match step {
            Some(Edit::Insert) => (start_x, start_y + 1),
            Some(Edit::Delete) => (start_x + 1, start_y),
            Some(Edit::Keep) | None => (0, 0),
        };
        while x > step_x && y > step_y {
            edits.push(Edit::Keep);
            (x, y) = (x - 1, y - 1);
        }
        if let Some(step) = step {
            edits.push(step);
            (x, y) = (start_x, start_y);
        }
    }
    edits.reverse();
    edits
}

/// The stretches of edits that are shown together.
fn hunks(edits: &[Edit]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (index, _) in edits.iter().enumerate().filter(|(_, edit)| **edit != Edit::Keep) {
        let (start, end) = (index.saturating_sub(CONTEXT), (index + 1 + CONTEXT).min(edits.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            Some(_) | None => hunks.push((start, end)),
        }
    }
    hunks
}

fn hunk(out: &mut String, edits: &[Edit], (start, end): (usize, usize), old: &[&str], new: &[&str]) {
    let count = |edits: &[Edit], without: Edit| edits.iter().filter(|edit| **edit != without).count();
    let (before, within) = (&edits[..start], &edits[start..end]);
    let (mut x, mut y) = (count(before, Edit::Insert), count(before, Edit::Delete));
    let (removed, added) = (count(within, Edit::Insert), count(within, Edit::Delete));
    // An empty side is told by the line before it.
    let first = |line: usize, lines: usize| if lines == 0 { line } else { line + 1 };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "@@ -{},{removed} +{},{added} @@", first(x, removed), first(y, added));
    for edit in within {
        let (mark, line) = match edit {
            Edit::Keep => (' ', old.get(x)),
            Edit::Delete => ('-', old.get(x)),
            Edit::Insert => ('+', new.get(y)),
        };
        x += usize::from(*edit != Edit::Insert);
        y += usize::from(*edit != Edit::Delete);
        let line = line.copied().unwrap_or_default();
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Edit, diff, edits};

    #[test]
    fn differences_are_shown_as_diff_shows_them() {
        let rows = [
            ("a\nb\n", "a\nb\n", ""),
            ("a\nb\nc\n", "a\nx\nc\n", "--- old\n+++ new\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"),
            ("", "a\n", "--- old\n+++ new\n@@ -0,0 +1,1 @@\n+a\n"),
            ("a", "a\n", "--- old\n+++ new\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n"),
            (
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
                "--- old\n+++ new\n@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+10\n",
            ),
        ];
        for (before, after, expected) in rows {
            assert_eq!(diff(["old", "new"], before, after), expected, "{before:?} {after:?}");
        }
    }

    /// What comes of the old lines by the edits.
    fn applied(edits: &[Edit], old: &[&str], new: &[&str]) -> (Vec<String>, usize) {
        let (mut x, mut y, mut out) = (0, 0, Vec::new());
        for edit in edits {
            match edit {
                Edit::Keep => out.push(old[x].to_string()),
                Edit::Insert => out.push(new[y].to_string()),
                Edit::Delete => {}
            }
            x += usize::from(*edit != Edit::Insert);
            y += usize::from(*edit != Edit::Delete);
        }
        assert_eq!((x, y), (old.len(), new.len()));
        (out, edits.iter().filter(|edit| **edit != Edit::Keep).count())
    }

    #[test]
    fn the_edits_lead_from_one_to_the_other_and_are_few() {
        let words = |number: u32| -> Vec<&'static str> {
            (0..8).map(|digit| ["a", "b", "c", "d"][(number >> (2 * digit)) as usize & 3]).collect()
        };
        for number in (0..65_536u32).step_by(97) {
            let (old, new) = (words(number), words(number.wrapping_mul(40_503) & 0xffff));
            let (made, count) = applied(&edits(&old, &new), &old, &new);
            assert_eq!(made, new, "{old:?}");
            // The longest common subsequence, by the book.
            let mut table = vec![vec![0usize; 9]; 9];
            for x in 0..8 {
                for y in 0..8 {
                    let longer = table[x][y + 1].max(table[x + 1][y]);
                    table[x + 1][y + 1] = if old[x] == new[y] { table[x][y] + 1 } else { longer };
                }
            }
            assert_eq!(count, 16 - 2 * table[8][8], "{old:?} {new:?}");
        }
    }

    #[test]
    fn texts_that_have_little_in_common_are_told_in_time() {
        let lines = |salt: &str| -> String { (0..20_000).map(|line| format!("{salt}{line}\n")).collect() };
        let told = diff(["old", "new"], &lines("a"), &lines("b"));
        assert_eq!(told.lines().count(), 40_003);
    }
}
