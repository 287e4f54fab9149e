/// The one of `known` that `word` is most likely a misspelling of, regardless of case; `None` if none is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    // A third of the letters may be wrong, and one always.
    let allowed = (word.len() / 3).max(1);
    known
        .into_iter()
        .map(|other| (edits(&word, &other.to_lowercase().chars().collect::<Vec<_>>()), other))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// The fewest letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
pub fn edits(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspellings_find_the_word_that_was_meant() {
        let known = ["RESTART", "RESTART-ALL", "RESTART-GROUP"];
        let rows: &[(&str, Option<&str>)] = &[
            ("RESTART", Some("RESTART")),
            ("restart", Some("RESTART")),
            ("RESTRAT", Some("RESTART")),
            ("RESTARTALL", Some("RESTART-ALL")),
            ("RESTART_GROUP", Some("RESTART-GROUP")),
            ("STOP", None),
            ("", None),
        ];
        for (word, expected) in rows {
            assert_eq!(nearest(word, known), *expected, "{word:?}");
        }
    }

    #[test]
    fn short_words_may_differ_by_one_letter() {
        assert_eq!(nearest("wbe", ["web", "db"]), Some("web"));
        assert_eq!(nearest("x", ["web", "db"]), None);
    }
}
