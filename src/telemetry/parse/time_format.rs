//! Times in a format that a person describes with the letters of `strptime`.

use time::Time;

use super::super::time::Timestamp;
use super::Context;
use super::stamp::{Cursor, Moment, moment_of};

/// A format such as `%d.%m.%Y %H:%M:%S,%L`. Besides the letters of POSIX: `%L` milliseconds, `%f` microseconds, `%N` nanoseconds, each also
/// with fewer or more digits, and `%i` or `%s` Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat(String);

/// The letters that a format may have after `%`.
const LETTERS: &str = "YymdejbBhaAHkIlMSpfLNzZsiTFDRnt%";

impl TimeFormat {
    /// A format.
    ///
    /// # Errors
    /// With the letter that is not known.
    pub fn new(pattern: &str) -> Result<Self, char> {
        let mut letters = pattern.chars();
        while let Some(c) = letters.next() {
            if c == '%' {
                let letter = letters.next().unwrap_or('%');
                if !LETTERS.contains(letter) {
                    return Err(letter);
                }
            }
        }
        Ok(Self(pattern.to_owned()))
    }

    /// The time at the start of a text. A date without a year is the most recent one, and so is a clock without a date.
    pub fn read(&self, text: &str, context: Context) -> Option<Timestamp> {
        let mut found = Moment::default();
        let mut cursor = Cursor::new(text);
        read(&self.0, &mut cursor, &mut found)?;
        if let Some(secs) = found.epoch {
            return Some(Timestamp::from_secs(secs) + std::time::Duration::from_nanos(u64::from(found.nanos)));
        }
        moment_of(&found, context)
    }
}

/// Reads a text by a format.
fn read(pattern: &str, c: &mut Cursor<'_>, found: &mut Moment) -> Option<()> {
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_whitespace() {
            c.skip_spaces();
            continue;
        }
        if letter != '%' {
            let mut bytes = [0; 4];
            letter.encode_utf8(&mut bytes).bytes().try_for_each(|b| c.eat(b))?;
            continue;
        }
        match letters.next()? {
            'Y' => found.year = Some(c.digits(4)?),
            'y' => found.year = Some(c.digits(2).map(|y| if y < 69 { 2000 + y } else { 1900 + y })?),
            'm' => found.month = Some(c.one_or_two()?),
            'd' | 'e' => {
                c.skip_spaces();
                found.day = Some(c.one_or_two()?);
            }
            'j' => found.day_of_year = Some(c.digits(3)?),
            'b' | 'B' | 'h' => found.month = Some(u32::from(u8::from(c.month_name()?))),
            'a' | 'A' => c.word()?,
            'H' | 'k' | 'I' | 'l' => {
                c.skip_spaces();
                found.hour = Some(c.one_or_two()?);
            }
            'M' => found.minute = c.one_or_two()?,
            'S' => found.second = c.one_or_two()?,
            'p' => found.is_pm = Some(c.am_or_pm()?),
            'f' | 'L' | 'N' => found.nanos = c.fraction_digits()?,
            'z' | 'Z' => {
                c.skip_spaces();
                found.zone = Some(c.zone_here()?);
            }
            's' | 'i' => found.epoch = Some(c.number()?),
            'T' => read("%H:%M:%S", c, found)?,
            'F' => read("%Y-%m-%d", c, found)?,
            'D' => read("%m/%d/%y", c, found)?,
            'R' => read("%H:%M", c, found)?,
            'n' | 't' => c.skip_spaces(),
            _ => c.eat(b'%')?,
        }
    }
    Some(())
}

impl Moment {
    /// The time of day; `None` if it is no valid one.
    pub(super) fn clock(&self) -> Option<Time> {
        let hour = u8::try_from(self.hour.unwrap_or(0)).ok()?;
        let hour = match self.is_pm {
            Some(_) if !(1..=12).contains(&hour) => return None,
            Some(is_pm) => hour % 12 + if is_pm { 12 } else { 0 },
            None => hour,
        };
        let (minute, second) = (u8::try_from(self.minute).ok()?, u8::try_from(self.second.min(59)).ok()?);
        Time::from_hms_nano(hour, minute, second, self.nanos).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_they_are_described() {
        let context = Context::utc(Timestamp::parse("2026-11-21T12:00:00Z").unwrap());
        let at = |format: &str, text: &str| TimeFormat::new(format).unwrap().read(text, context).map(Timestamp::rfc3339);
        for (format, text, expected) in [
            ("%d.%m.%Y %H:%M:%S,%L", "21.11.2026 09:31:07,5", "2026-11-21T09:31:07.5Z"),
            ("%H.%M.%S %d/%b", "09.31.07 21/Nov", "2026-11-21T09:31:07Z"),
            ("%y%m%d-%H%M", "261121-0931", "2026-11-21T09:31:00Z"),
            ("%Y/%j %T", "2026/325 09:31:07", "2026-11-21T09:31:07Z"),
            ("%A, %B %e %I:%M:%S %p", "Saturday, November 21 9:31:07 PM", "2026-11-21T21:31:07Z"),
            ("%F %T %z", "2026-11-21 10:31:07 +0100", "2026-11-21T09:31:07Z"),
            ("%F %T%Z", "2026-11-21 09:31:07Z", "2026-11-21T09:31:07Z"),
            ("%s.%f", "1795253467.25", "2026-11-21T09:31:07.25Z"),
            ("t=%H:%M", "t=09:31", "2026-11-21T09:31:00Z"),
            ("%H:%M", "23:31", "2026-11-20T23:31:00Z"),
        ] {
            assert_eq!(at(format, text).as_deref(), Some(expected), "{format}");
        }
        for (format, text) in [("%Y", "26"), ("%d/%m", "32/11"), ("%H:%M", "25:00"), ("%p %H", "PM 13"), ("é%d", "e21")] {
            assert_eq!(at(format, text), None, "{format}");
        }
        assert_eq!(TimeFormat::new("%d %Q"), Err('Q'));
        assert_eq!(TimeFormat::new("%"), Ok(TimeFormat("%".to_owned())));
    }
}
