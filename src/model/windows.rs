//! A Windows template from its installation image: what is asked for, and the files that answer Windows Setup.
//! Sources: Microsoft's unattended set-up reference; the folders of the VirtIO driver image.

use crate::amounts;
use crate::guests::settings::MachineSettings;
use crate::guests::{HOST_NAME, is_host_name};
use base::{Error, Result, Secret};
use serde::{Deserialize, Serialize};

/// A release of Windows: id, what people call it, the folder of its drivers.
pub static RELEASES: [(&str, &str, &str); 6] = [
    ("win10", "Windows 10", "w10"),
    ("win11", "Windows 11", "w11"),
    ("server2016", "Windows Server 2016", "2k16"),
    ("server2019", "Windows Server 2019", "2k19"),
    ("server2022", "Windows Server 2022", "2k22"),
    ("server2025", "Windows Server 2025", "2k25"),
];

/// A template of Windows to make, from installation images on the node's storages. As stored it is without its secrets,
/// which are handed on apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowsRequest {
    /// The connection's id or name. Left out: the one that has the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// A host name.
    pub name: String,
    pub node: String,
    /// win10, win11, server2016, server2019, server2022 or server2025.
    pub release: String,
    /// The installation image, like `local:iso/windows-10.iso`.
    pub iso: String,
    /// The image with the VirtIO drivers.
    pub drivers: String,
    /// An image that holds `CloudbaseInitSetup*.msi`; empty for none.
    #[serde(default)]
    pub extra: String,
    /// Which edition of the installation image, 1 to 30: 1 is the first.
    pub edition: u32,
    /// Of menus, as on the image: `en-US`.
    pub language: String,
    /// `0409:00000409`.
    pub keyboard: String,
    /// Windows' own name, like `W. Europe Standard Time`.
    pub time_zone: String,
    /// The administrator's, 8 to 120 characters. Used once.
    #[serde(default, skip_serializing_if = "kept_apart", serialize_with = "nothing")]
    #[schema(value_type = String, format = Password, required)]
    pub password: Secret<String>,
    /// Left out: the edition's own, or the trial.
    #[serde(default, skip_serializing_if = "kept_apart", serialize_with = "nothing")]
    #[schema(value_type = Option<String>, format = Password)]
    pub product_key: Secret<String>,
    /// Where disks go; empty: where most room is.
    #[serde(default)]
    pub storage: String,
    pub bridge: String,
    #[serde(default)]
    pub vlan: Option<u16>,
    /// GiB, 32 to 4096.
    #[serde(deserialize_with = "amounts::gib")]
    pub disk: u64,
    pub cores: u32,
    /// MiB, 2048 and more.
    #[serde(deserialize_with = "amounts::mib")]
    pub memory: u64,
    /// The longest that the installation may take, 1 to 24.
    pub hours: u32,
}

/// A secret never becomes JSON.
fn kept_apart(_: &Secret<String>) -> bool {
    true
}

fn nothing<S: serde::Serializer>(_: &Secret<String>, s: S) -> std::result::Result<S::Ok, S::Error> {
    s.serialize_none()
}

impl WindowsRequest {
    /// The release's line in [`RELEASES`].
    pub fn release(&self) -> Option<&'static (&'static str, &'static str, &'static str)> {
        RELEASES.iter().find(|r| r.0 == self.release)
    }

    pub fn check(&self, settings: &MachineSettings) -> Result<()> {
        let fits = |key: &str, n: u64, least: u64| {
            n >= least && settings.find(key).is_none_or(|s| s.read_text(&n.to_string()).is_ok())
        };
        let iso = |t: &str| {
            t.contains(":iso/")
                && t.to_ascii_lowercase().ends_with(".iso")
                && !t.chars().any(|c| c.is_control() || ",;= ".contains(c))
        };
        let hex = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_hexdigit());
        let keyboard = self.keyboard.split_once(':').is_some_and(|(a, b)| hex(a, 4) && hex(b, 8));
        let (password, key) = (self.password.expose(), self.product_key.expose().trim());
        let key_fits = key.is_empty()
            || key.split('-').map(str::len).eq([5; 5]) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let words = |t: &str| !t.is_empty() && t.len() <= 80 && !t.chars().any(char::is_control);
        let all = [
            ("name", is_host_name(&self.name), HOST_NAME),
            ("release", self.release().is_some(), "Choose one from the list."),
            ("iso", iso(&self.iso), "Choose the Windows image."),
            ("drivers", iso(&self.drivers) && self.drivers != self.iso, "Choose the image with the VirtIO drivers."),
            ("extra", self.extra.is_empty() || iso(&self.extra), "Choose an image, or none."),
            ("edition", (1..=30).contains(&self.edition), "Choose 1 to 30."),
            ("language", is_language(&self.language), "Give a language like en-US or de-DE, one that is on the image."),
            ("keyboard", keyboard, "Give a keyboard like 0409:00000409."),
            ("time_zone", words(&self.time_zone), "Give Windows' own name, like W. Europe Standard Time."),
            ("bridge", !self.bridge.is_empty(), "Choose a bridge."),
            ("vlan", self.vlan.is_none_or(|v| (1..=4094).contains(&v)), "A VLAN tag is 1 to 4094."),
            ("disk", fits("disk", self.disk, 32), "Windows needs 32 GiB or more."),
            ("cores", fits("cores", self.cores.into(), 1), "A machine there can't have that many cores."),
            ("memory", fits("memory", self.memory, 2048), "Windows needs 2048 MiB or more."),
            ("hours", (1..=24).contains(&self.hours), "Choose 1 to 24 hours."),
            (
                "password",
                (8..=120).contains(&password.chars().count()) && !password.chars().any(char::is_control),
                "Use 8 to 120 characters on one line.",
            ),
            ("product_key", key_fits, "A key has five groups of five, separated by dashes. It may be left empty."),
        ];
        Error::of_fields(all.into_iter().filter(|(_, fits, _)| !fits).map(|(field, _, text)| (field, text)))
    }
}

fn is_language(text: &str) -> bool {
    (2..=15).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// A text inside of an element.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

const ATTRIBUTES: &str =
    r#"processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS""#;
/// Letters that CD drives have while Windows is installed and after it.
const LETTERS: [char; 6] = ['D', 'E', 'F', 'G', 'H', 'I'];
/// Disk, network, the older disk, memory.
const DRIVERS: [&str; 4] = ["vioscsi", "NetKVM", "viostor", "Balloon"];

/// Names and texts of the files on the CD that answers Windows Setup. The password is in them.
pub fn answers(request: &WindowsRequest) -> [(&'static str, Secret<String>); 2] {
    [
        ("autounattend.xml", Secret::new(unattend(request))),
        ("steward-setup.ps1", Secret::new(SETUP.replace('\n', "\r\n"))),
    ]
}

/// Finds our script on whichever drive it is.
const FIRST_LOGON: &str = "powershell.exe -NoProfile -ExecutionPolicy Bypass -Command \"foreach ($d in 'D','E','F','G','H','I') { $f = $d + ':\\steward-setup.ps1'; if (Test-Path $f) { & $f; break } }\"";

fn unattend(request: &WindowsRequest) -> String {
    let folder = request.release().map_or("w10", |r| r.2);
    let (language, keyboard, zone) = (xml(&request.language), xml(&request.keyboard), xml(&request.time_zone));
    let password = xml(request.password.expose());
    let locale = format!(
        "<InputLocale>{keyboard}</InputLocale><SystemLocale>{language}</SystemLocale><UILanguage>{language}</UILanguage><UserLocale>{language}</UserLocale>"
    );
    let mut paths = String::new();
    let mut n = 0;
    for letter in LETTERS {
        for driver in DRIVERS {
            n += 1;
            paths.push_str(&format!(
                "<PathAndCredentials wcm:action=\"add\" wcm:keyValue=\"{n}\"><Path>{letter}:\\{driver}\\{folder}\\amd64</Path></PathAndCredentials>"
            ));
        }
    }
    let key = if request.product_key.expose().trim().is_empty() {
        String::new()
    } else {
        format!("<Key>{}</Key>", xml(&request.product_key.expose().trim().to_ascii_uppercase()))
    };
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend" xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State">
<settings pass="windowsPE">
<component name="Microsoft-Windows-International-Core-WinPE" {ATTRIBUTES}><SetupUILanguage><UILanguage>{language}</UILanguage></SetupUILanguage>{locale}</component>
<component name="Microsoft-Windows-PnpCustomizationsWinPE" {ATTRIBUTES}><DriverPaths>{paths}</DriverPaths></component>
<component name="Microsoft-Windows-Setup" {ATTRIBUTES}>
<DiskConfiguration><WillShowUI>OnError</WillShowUI><Disk wcm:action="add"><DiskID>0</DiskID><WillWipeDisk>true</WillWipeDisk>
<CreatePartitions>
<CreatePartition wcm:action="add"><Order>1</Order><Type>EFI</Type><Size>300</Size></CreatePartition>
<CreatePartition wcm:action="add"><Order>2</Order><Type>MSR</Type><Size>16</Size></CreatePartition>
<CreatePartition wcm:action="add"><Order>3</Order><Type>Primary</Type><Extend>true</Extend></CreatePartition>
</CreatePartitions>
<ModifyPartitions>
<ModifyPartition wcm:action="add"><Order>1</Order><PartitionID>1</PartitionID><Format>FAT32</Format><Label>System</Label></ModifyPartition>
<ModifyPartition wcm:action="add"><Order>2</Order><PartitionID>3</PartitionID><Format>NTFS</Format><Label>Windows</Label><Letter>C</Letter></ModifyPartition>
</ModifyPartitions></Disk></DiskConfiguration>
<ImageInstall><OSImage><WillShowUI>OnError</WillShowUI><InstallFrom><MetaData wcm:action="add"><Key>/IMAGE/INDEX</Key><Value>{edition}</Value></MetaData></InstallFrom><InstallTo><DiskID>0</DiskID><PartitionID>3</PartitionID></InstallTo></OSImage></ImageInstall>
<UserData><AcceptEula>true</AcceptEula><ProductKey>{key}<WillShowUI>OnError</WillShowUI></ProductKey></UserData>
</component>
</settings>
<settings pass="specialize">
<component name="Microsoft-Windows-Shell-Setup" {ATTRIBUTES}><ComputerName>*</ComputerName><TimeZone>{zone}</TimeZone></component>
</settings>
<settings pass="oobeSystem">
<component name="Microsoft-Windows-International-Core" {ATTRIBUTES}>{locale}</component>
<component name="Microsoft-Windows-Shell-Setup" {ATTRIBUTES}>
<OOBE><HideEULAPage>true</HideEULAPage><HideOEMRegistrationScreen>true</HideOEMRegistrationScreen><HideOnlineAccountScreens>true</HideOnlineAccountScreens><HideWirelessSetupInOOBE>true</HideWirelessSetupInOOBE><ProtectYourPC>3</ProtectYourPC></OOBE>
<UserAccounts><AdministratorPassword><Value>{password}</Value><PlainText>true</PlainText></AdministratorPassword></UserAccounts>
<AutoLogon><Enabled>true</Enabled><LogonCount>1</LogonCount><Username>Administrator</Username><Password><Value>{password}</Value><PlainText>true</PlainText></Password></AutoLogon>
<FirstLogonCommands><SynchronousCommand wcm:action="add"><Order>1</Order><CommandLine>{command}</CommandLine><Description>Steward</Description></SynchronousCommand></FirstLogonCommands>
<TimeZone>{zone}</TimeZone>
</component>
</settings>
</unattend>
"#,
        edition = request.edition,
        command = xml(FIRST_LOGON),
    )
}

/// Drivers, guest agent, cloudbase-init; then generalized and switched off.
const SETUP: &str = include_str!("windows-setup.ps1");

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn a_request() -> WindowsRequest {
        WindowsRequest {
            password: Secret::new("Seven kettles".to_owned()),
            name: "win".into(),
            node: "pve1".into(),
            release: "win11".into(),
            iso: "local:iso/windows-11.iso".into(),
            drivers: "local:iso/virtio-win.iso".into(),
            edition: 6,
            language: "de-DE".into(),
            keyboard: "0407:00000407".into(),
            time_zone: "W. Europe Standard Time".into(),
            bridge: "vmbr0".into(),
            disk: 64,
            cores: 4,
            memory: 8192,
            hours: 6,
            ..WindowsRequest::default()
        }
    }

    fn given(password: &str, key: &str) -> WindowsRequest {
        let [password, product_key] = [password, key].map(|text| Secret::new(text.to_owned()));
        WindowsRequest { password, product_key, ..a_request() }
    }

    const NASTY: &str = "a<b>&\"c'd]]>\\$x;€ü ";

    #[test]
    fn the_answers_are_sound_xml_with_any_password() {
        let files = answers(&given(NASTY, "abcde-12345-abcde-12345-abcde"));
        let (name, text) = &files[0];
        assert_eq!(*name, "autounattend.xml");
        let text = text.expose();
        // A foreign reader, and what it makes of the password.
        let script = "import sys, xml.etree.ElementTree as e\nt = e.fromstring(sys.stdin.buffer.read())\n\
                      v = [n.text for n in t.iter('{urn:schemas-microsoft-com:unattend}Value')]\n\
                      k = [n.text for n in t.iter('{urn:schemas-microsoft-com:unattend}Key')]\n\
                      sys.stdout.buffer.write('\\n'.join(v + k).encode())";
        let mut child = std::process::Command::new("python3")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        let told = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(
            told.lines().collect::<Vec<_>>(),
            ["6", NASTY, NASTY, "/IMAGE/INDEX", "ABCDE-12345-ABCDE-12345-ABCDE"]
        );
        assert!(text.contains("D:\\vioscsi\\w11\\amd64"), "{text}");
        assert!(!files[1].1.expose().contains(NASTY), "the script does not know the password");
    }

    #[test]
    fn each_field_that_does_not_fit_is_named() {
        a_request().check(&MachineSettings::default()).unwrap();
        let request = WindowsRequest {
            iso: "x".into(),
            drivers: "local:iso/a,b.iso".into(),
            edition: 0,
            keyboard: "de".into(),
            ..given("short", "12345")
        };
        let e = request.check(&MachineSettings::default()).unwrap_err();
        let fields: Vec<&str> = e.fields().keys().map(String::as_str).collect();
        assert_eq!(fields, ["drivers", "edition", "iso", "keyboard", "password", "product_key"]);
    }
}
