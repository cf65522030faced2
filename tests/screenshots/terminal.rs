//! What a command printed, as markup that looks like a terminal.

/// The colours that sdgroup uses, by the numbers that set them.
const COLOURS: [(&str, &str); 4] = [
    ("31", "color:#ff7b72"),
    ("32", "color:#7ee787"),
    ("33", "color:#e3b341"),
    ("1", "font-weight:bold"),
];

/// A page with commands and what they printed.
pub(crate) fn page(screens: &[(String, String)]) -> String {
    let screen = |(command, printed): &(String, String)| {
        let prompt = "<span style=\"color:#79c0ff\">$</span>";
        format!("{prompt} {}\n{}", escaped(command), painted(printed))
    };
    let body: Vec<String> = screens.iter().map(screen).collect();
    format!(
        "<!doctype html><style>html{{background:#0d1117}}body{{margin:0;padding:18px 22px;display:inline-block;\
         background:#0d1117}}pre{{margin:0;font:14px/1.4 'DejaVu Sans Mono',monospace;color:#e6edf3}}</style><pre>{}</pre>",
        body.join("\n").trim_end()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Escape sequences as styles. Each of ours is ended by one that sets all back.
fn painted(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let first = escaped(pieces.next().unwrap_or_default());
    let styled = pieces.map(|piece| {
        let (code, rest) = piece.split_once('m').unwrap_or(("", piece));
        let style = COLOURS.iter().find(|(known, _)| *known == code);
        let mark = style.map_or_else(
            || "</span>".to_owned(),
            |(_, style)| format!("<span style=\"{style}\">"),
        );
        mark + &escaped(rest)
    });
    std::iter::once(first).chain(styled).collect()
}
