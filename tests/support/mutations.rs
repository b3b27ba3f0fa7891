//! Hostile log lines: mutations of lines in many formats, from a fixed seed.

/// Lines of many formats, which mutations start from.
pub(crate) const SEEDS: [&str; 24] = [
    "2026-11-21 09:31:07,123 ERROR [pool-1] c.s.Pool: exhausted after 7 ms",
    "\tat a.B.c(B.java:1)",
    "Caused by: java.io.IOException: gone",
    r#"{"time":"2026-11-21T09:31:07Z","level":"error","msg":"full","n":{"a":[1,2,{"b":"c"}]}}"#,
    r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1795253467000000000","body":{"stringValue":"x"}}]}]}]}"#,
    r#"{"log":"half a li","stream":"stdout","time":"2026-11-21T09:31:07.1Z"}"#,
    "time=2026-11-21T09:31:07Z level=warn msg=\"a \\\"b\\\" c\" k=v",
    "<165>1 2026-11-21T09:31:07Z host app 12 ID [sd@1 k=\"v\\]\"] text",
    "Nov 21 09:31:07 host sshd[214]: Failed password for root",
    "E1121 09:31:07.000000    1234 file.go:12] message",
    "10.0.0.1 - - [21/Nov/2026:09:31:07 +0000] \"GET /x HTTP/1.1\" 502 17 \"-\" \"curl\"",
    "2026-11-21T09:31:07.1Z stdout P half",
    "web-1  | 2026-11-21T09:31:07Z up",
    "#Fields: date time cs-method cs-uri sc-status",
    "2026-11-21 09:31:07 GET /x 500",
    "2026-11-21,09:31:07,ERROR,\"a, b\",7",
    "__CURSOR=s=1",
    "MESSAGE",
    "-----BEGIN RSA PRIVATE KEY-----",
    "Traceback (most recent call last):",
    "@400000006a2015850000000a message",
    "<Event><System><Level>2</Level><TimeCreated SystemTime='2026-11-21T09:31:07Z'/></System></Event>",
    "<log4j:event timestamp=\"1795253467000\" level=\"ERROR\">",
    "11/21/2026 9:31:07 PM p.m. \u{1b}[31mrouge\u{1b}[0m é中\u{200d}",
];

/// Pieces that mutations insert.
const PIECES: [&str; 20] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "=",
    ":",
    "<",
    ">",
    "|",
    ",",
    " ",
    "\t",
    "\0",
    "\u{1b}[",
    "é",
    "2026-11-21T09:31:07Z",
    "99999999999999999999",
    "-----END ",
];

/// A small generator of numbers: the same on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    /// The next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line: Vec<char> = SEEDS[self.roll(SEEDS.len())].chars().collect();
        for _ in 0..self.roll(5) {
            let at = self.roll(line.len() + 1);
            match self.roll(5) {
                0 => line.truncate(at),
                1 => drop(line.splice(at..at, PIECES[self.roll(PIECES.len())].chars())),
                2 => {
                    let other: Vec<char> = SEEDS[self.roll(SEEDS.len())].chars().collect();
                    drop(line.splice(at..at, other));
                }
                3 if at < line.len() => drop(line.remove(at)),
                _ => {
                    let part: Vec<char> = line.iter().skip(at).take(20).copied().collect();
                    (0..self.roll(4)).for_each(|_| line.extend(&part));
                }
            }
        }
        line.into_iter().filter(|c| *c != '\n').collect()
    }
}
