use super::*;
use base::Secret;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    cores: u32,
    name: String,
    size: Option<Size>,
    #[serde(default)]
    more: Vec<Size>,
    from: Option<Origin>,
    #[serde(default)]
    start: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    gib: u64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "how", rename_all = "lowercase", deny_unknown_fields)]
enum Origin {
    Copy { vmid: u32 },
    Nothing {},
}

fn wrong(body: &str) -> Vec<(String, String)> {
    let e = Node::of_json(body.as_bytes()).and_then(Node::read::<Wanted>).unwrap_err();
    e.fields().clone().into_iter().collect()
}

fn one(body: &str) -> (String, String) {
    let all = wrong(body);
    assert_eq!(all.len(), 1, "{body}: {all:?}");
    all[0].clone()
}

fn said(field: &str, sentence: &str) -> (String, String) {
    (field.to_owned(), sentence.to_owned())
}

#[test]
fn what_fits_is_read() {
    let body =
        br#"{"cores":2,"name":"a","size":{"gib":3},"more":[{"gib":1}],"from":{"how":"copy","vmid":7},"start":true}"#;
    let read: Wanted = Node::of_json(body).unwrap().read().unwrap();
    assert_eq!((read.cores, read.name.as_str(), read.size.unwrap().gib, read.start), (2, "a", 3, true));
    assert!(read.more[0].gib == 1 && matches!(read.from, Some(Origin::Copy { vmid: 7 })));
    let read: Wanted = Node::of_query("cores=2&name=17&start=true").unwrap().read().unwrap();
    assert_eq!((read.cores, read.name.as_str(), read.start), (2, "17", true));
}

#[test]
fn every_wrong_field_has_its_sentence_in_everyday_words() {
    let number = "Give a whole number from 0 to 4294967295.";
    let all = wrong(r#"{"cores":"two","colour":"red","size":{"gib":-1},"more":[{"gib":1},{"gb":2}],"start":"yes"}"#);
    let known = "There is no such field here. The fields are: cores, name, size, more, from, start.";
    let expected = [
        said("colour", known),
        said("cores", number),
        said("more[1].gb", "There is no such field here. The fields are: gib."),
        said("more[1].gib", "This is missing."),
        said("name", "This is missing."),
        said("size.gib", "Give a whole number, 0 or more."),
        said("start", "Give true or false."),
    ];
    assert_eq!(all, expected);
    let with = |more: &str| one(&format!(r#"{{"cores":1,"name":"a",{more}}}"#));
    assert_eq!(with(r#""from":{"how":"fly"}"#), said("from.how", "Choose copy or nothing."));
    assert_eq!(with(r#""from":{"how":"nothing","x":1}"#), said("from.x", "There is no such field here."));
    assert_eq!(with(r#""from":{"vmid":1}"#), said("from.how", "This is missing. Choose copy or nothing."));
    assert_eq!(with(r#""start":true,"start":true"#).0, "start");
    let query = |text: &str| Node::of_query(text).and_then(Node::read::<Wanted>).unwrap_err().fields().clone();
    assert_eq!(query("cores=-1&name=a")["cores"], number);
    assert_eq!(query("cores=1&cores=2&name=a")["cores"], "This field is sent twice. Send it once.");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    name: String,
    gib: u64,
    vlan: Option<u16>,
    tags: Vec<String>,
    start: bool,
    password: Option<Secret<String>>,
}

#[test]
fn a_form_is_read_as_it_is_meant() {
    let pairs = [("csrf", "x"), ("name", " a\r\n"), ("gib", " 3 "), ("vlan", ""), ("tags", "a, b"), ("start", "off")];
    let form = || Node::of_form(pairs).with("password", Node::word(" seven kettles "));
    let read: Typed = form().read().unwrap();
    assert_eq!((read.name.as_str(), read.gib, read.vlan, read.start), ("a", 3, None, false));
    assert_eq!(
        (read.tags, read.password.unwrap().expose().as_str()),
        (vec!["a".into(), "b".into()], " seven kettles ")
    );
    let ticked = form().with("start", Node::Words(vec!["off".into(), "on".into()]));
    assert!(ticked.read::<Typed>().unwrap().start);
}

#[test]
fn what_cant_be_read_and_what_does_not_fit_are_told_together() {
    let form = Node::of_form([("name", "-"), ("gib", "two"), ("vlan", "x"), ("tags", ""), ("start", "on")]);
    let e = form.read_checked(|_: &Typed| Error::of_fields([("name", "No."), ("gib", "Never told.")])).unwrap_err();
    assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["gib", "name", "vlan"]);
    assert_eq!(e.fields()["gib"], "Give a whole number, 0 or more.");
}

#[test]
fn a_list_is_no_object() {
    let with = |more: &str| one(&format!(r#"{{"cores":1,"name":"a",{more}}}"#));
    assert_eq!(with(r#""size":[3]"#), said("size", OBJECT));
    assert_eq!(with(r#""more":[[3]]"#), said("more[0]", OBJECT));
    assert_eq!(with(r#""from":["copy",7]"#), said("from", OBJECT));
    for body in [r#"[1,"a"]"#, "3", "null", r#""x""#] {
        let e = Node::of_json(body.as_bytes()).unwrap_err();
        assert!(e.message().contains("must be a JSON object"), "{body}: {e}");
    }
}

#[test]
fn text_is_the_same_from_every_system() {
    let body = "\u{feff}{\"name\":\"a\\r\\nb\",\"gib\":3,\"tags\":[],\"start\":true,\"password\":\"a\\r\\nb\"}";
    let read: Typed = Node::of_json(body.as_bytes()).unwrap().read().unwrap();
    assert_eq!((read.name.as_str(), read.password.unwrap().expose().as_str()), ("a\nb", "a\r\nb"));
    assert!(Node::of_json("\u{feff}".as_bytes()).unwrap_err().message().contains("empty"));
}

#[test]
fn amounts_and_limits_are_told_with_what_may_be_written() {
    use model::guests::actions::{AddDisk, GrowDisk};
    use model::quotas::{Quota, UserQuota};
    let wrong = Node::of_json(br#"{"cores":"many","memory":-1,"disk":true}"#).and_then(Node::read::<UserQuota>);
    let limit = "Give a whole number, 0 or more, or “usual” or “unlimited”.";
    let fields = wrong.unwrap_err().fields().clone();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["cores", "disk", "memory"]);
    assert!(fields.values().all(|text| text == limit), "{fields:?}");
    let both = Node::of_json(br#"{"memory":"2x","disk":"0.5G"}"#).and_then(Node::read::<Quota>).unwrap_err();
    assert_eq!(both.fields().len(), 2, "{both:?}");
    let read: Quota = Node::of_json(br#"{"memory":"2G","disk":16}"#).unwrap().read().unwrap();
    assert_eq!((read.memory, read.disk, read.cores), (Some(2048), Some(16), None));
    let form = |gib: &str| Node::of_form([("disk", "scsi0"), ("bus", "scsi"), ("storage", "a"), ("gib", gib)]);
    assert_eq!(form("1.5T").read::<AddDisk>().unwrap().gib, 1536);
    assert_eq!(form("+10").read::<AddDisk>().unwrap_err().fields().keys().collect::<Vec<_>>(), ["gib"]);
    assert_eq!(form("+10").read::<GrowDisk>().unwrap().gib.to_string(), "by 10 GiB");
    let odd = form("much").read::<GrowDisk>().unwrap_err();
    assert!(odd.fields()["gib"].contains("GiB, or with a unit"), "{odd:?}");
}

#[test]
fn what_is_no_json_is_said_so() {
    let said = |body: &[u8]| Node::of_json(body).unwrap_err().message().to_owned();
    assert_eq!(said(b"{"), "The body is not JSON. The error is in line 1, column 1.");
    assert!(said(br#"{"cores":1} {}"#).contains("more than one"));
    assert!(said(b" ").contains("empty"));
    assert!(said(br#"{"cores":1e999}"#).contains("too large"));
}
