//! The HTML that PlanetScale's web application shows for a statement.

/// A statement as HTML: each line a `div`, keywords in `span.k`, names in `span.nv` (seen in webhook samples).
pub fn highlight(statement: &str) -> String {
    lines(statement)
        .iter()
        .enumerate()
        .map(|(index, line)| format!("<div class=\"line line-{}\">{}</div>", index + 1, spans(line)))
        .collect()
}

/// The statement's lines; an ALTER's table and its changes are lines of their own.
fn lines(statement: &str) -> Vec<String> {
    let name_end = statement
        .strip_prefix("ALTER TABLE `")
        .and_then(|rest| rest.find("` "))
        .map(|end| "ALTER TABLE `".len() + end + "` ".len());
    match name_end {
        Some(end) => vec![statement[..end].to_owned(), format!("  {}", &statement[end..])],
        None => statement.lines().map(str::to_owned).collect(),
    }
}

fn spans(line: &str) -> String {
    let mut html = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (class, length) = if first == '`' {
            ("nv", rest[1..].find('`').map_or(rest.len(), |end| end + 2))
        } else if first.is_ascii_uppercase() {
            let word = rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len());
            ("k", word)
        } else {
            ("", first.len_utf8())
        };
        let text = rest[..length].replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if class.is_empty() {
            html.push_str(&text);
        } else {
            html.push_str(&format!("<span class=\"{class}\">{text}</span>"));
        }
        rest = &rest[length..];
    }
    html
}

#[cfg(test)]
mod tests {
    use super::highlight;

    #[test]
    fn an_alter_looks_like_in_the_webhook_samples() {
        assert_eq!(
            highlight("ALTER TABLE `Persons` DROP COLUMN `Address`"),
            "<div class=\"line line-1\"><span class=\"k\">ALTER</span> <span class=\"k\">TABLE</span> \
             <span class=\"nv\">`Persons`</span> </div><div class=\"line line-2\">  <span class=\"k\">DROP</span> \
             <span class=\"k\">COLUMN</span> <span class=\"nv\">`Address`</span></div>"
        );
    }
}
