//! The four cookies: who is signed in, the anonymous form's half, what was just done, the theme.

use base::Timestamp;
use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, header};
use model::prefs::Theme;

/// A cookie's purpose. Over TLS the name carries `__Host-`: browsers then take it only from this very
/// host, over TLS, for the whole site, so no neighbour can plant one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Session,
    /// The half of the double submit for forms of people who are not signed in.
    Form,
    Flash,
    Theme,
}

impl Name {
    fn text(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-steward",
            (Self::Session, false) => "steward",
            (Self::Form, true) => "__Host-steward-form",
            (Self::Form, false) => "steward-form",
            (Self::Flash, true) => "__Host-steward-flash",
            (Self::Flash, false) => "steward-flash",
            (Self::Theme, _) => "theme",
        }
    }
}

/// What the request brought.
#[derive(Clone, Debug, Default)]
pub struct Cookies {
    pub session: Option<String>,
    pub form: Option<String>,
    pub flash: Option<String>,
    pub theme: Option<Theme>,
}

impl Cookies {
    pub fn of(headers: &HeaderMap, secure: bool) -> Self {
        let mut found = Self::default();
        // A neighbour on the same host name may have set anything (`user=Jürgen`): ours are ASCII, the rest is passed by.
        let texts = headers.get_all(header::COOKIE).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
        for cookie in texts.flat_map(|text| Cookie::split_parse(text.into_owned())).flatten() {
            let value = || Some(cookie.value().to_owned());
            match cookie.name() {
                n if n == Name::Session.text(secure) => found.session = value(),
                n if n == Name::Form.text(secure) => found.form = value(),
                n if n == Name::Flash.text(secure) => found.flash = value(),
                n if n == Name::Theme.text(secure) => found.theme = parse_theme(cookie.value()),
                _ => {}
            }
        }
        found
    }
}

pub fn parse_theme(text: &str) -> Option<Theme> {
    match text {
        "system" => Some(Theme::System),
        "light" => Some(Theme::Light),
        "dark" => Some(Theme::Dark),
        _ => None,
    }
}

/// A `Set-Cookie` value. `until` `None`: until the browser closes.
pub fn set(name: Name, value: &str, until: Option<Timestamp>, now: Timestamp, secure: bool) -> Option<HeaderValue> {
    let mut cookie = Cookie::build((name.text(secure), value)).http_only(true).secure(secure).path("/");
    cookie = cookie.same_site(SameSite::Lax);
    let mut text = cookie.build().to_string();
    if let Some(until) = until {
        text.push_str(&format!("; Max-Age={}", (until.as_secs() - now.as_secs()).max(0)));
    }
    // A cookie's value is never for a log; this also keeps it out of HPACK's shared table.
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Takes a cookie away.
pub fn clear(name: Name, secure: bool) -> Option<HeaderValue> {
    set(name, "", Some(Timestamp::ZERO), Timestamp::ZERO, secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie_is_for_this_host_and_no_script() {
        let now = Timestamp::from_secs(1000);
        let value = set(Name::Session, "abc", Some(Timestamp::from_secs(1060)), now, true).unwrap();
        let text = value.to_str().unwrap();
        assert!(text.starts_with("__Host-steward=abc;"), "{text}");
        for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Domain"));
    }

    #[test]
    fn cookies_are_read_from_one_or_more_headers() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("theme=dark; other=1"));
        let neighbour =
            HeaderValue::from_bytes("user=Jürgen; =; a b; x=\"; __Host-steward=abc; steward=plain".as_bytes());
        headers.append(header::COOKIE, neighbour.unwrap());
        let found = Cookies::of(&headers, true);
        assert_eq!(found.session.as_deref(), Some("abc"));
        assert_eq!(found.theme, Some(Theme::Dark));
        assert_eq!(Cookies::of(&headers, false).session.as_deref(), Some("plain"));
    }
}
