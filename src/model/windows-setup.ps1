# Runs once, as Administrator, when Windows is installed. At its end Windows is generalized and shuts down: that is
# what Steward waits for. When something fails Windows stays on, so that a person sees it at its screen.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Start-Transcript -Path "$env:SystemRoot\Temp\steward-setup.log" | Out-Null

function Find-File([string]$pattern) {
    foreach ($letter in 'D', 'E', 'F', 'G', 'H', 'I') {
        $found = Get-ChildItem -Path "${letter}:\$pattern" -ErrorAction SilentlyContinue | Select-Object -First 1
        if ($found) { return $found.FullName }
    }
    return $null
}

function Install-Msi([string]$path, [string[]]$more) {
    $arguments = @('/i', ('"' + $path + '"'), '/qn', '/norestart') + $more
    $ran = Start-Process msiexec.exe -ArgumentList $arguments -Wait -PassThru
    if (@(0, 1641, 3010) -notcontains $ran.ExitCode) { throw "$path ended with exit code $($ran.ExitCode)" }
}

$drivers = Find-File 'virtio-win-gt-x64.msi'
if ($drivers) { Install-Msi $drivers @('ADDLOCAL=ALL') }
$agent = Find-File 'guest-agent\qemu-ga-x86_64.msi'
if (-not $agent) { throw 'The image with the VirtIO drivers has no guest-agent\qemu-ga-x86_64.msi.' }
Install-Msi $agent @()

# Remote desktop with Network Level Authentication; remote management by WinRM stays off.
Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server' -Name fDenyTSConnections -Value 0
Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' -Name UserAuthentication -Value 1
Enable-NetFirewallRule -Name 'RemoteDesktop-UserMode-In-TCP', 'RemoteDesktop-UserMode-In-UDP'
Stop-Service WinRM -ErrorAction SilentlyContinue
Set-Service WinRM -StartupType Disabled

$unattend = $null
$cloudbase = Find-File 'CloudbaseInitSetup*.msi'
if ($cloudbase) {
    Install-Msi $cloudbase @()
    $folder = Join-Path $env:ProgramFiles 'Cloudbase Solutions\Cloudbase-Init\conf'
    foreach ($name in 'cloudbase-init.conf', 'cloudbase-init-unattend.conf') {
        $file = Join-Path $folder $name
        $lines = @(Get-Content $file | Where-Object { $_ -notmatch '^(metadata_services|inject_user_password|first_logon_behaviour)\s*=' })
        $lines += 'metadata_services=cloudbaseinit.metadata.services.configdrive.ConfigDriveService'
        $lines += 'inject_user_password=true'
        $lines += 'first_logon_behaviour=no'
        Set-Content -Path $file -Value $lines -Encoding ASCII
    }
    $unattend = Join-Path $folder 'Unattend.xml'
}

# The answers with the password were copied here.
Remove-Item "$env:SystemRoot\Panther\unattend.xml", "$env:SystemRoot\Panther\autounattend.xml", "$env:SystemRoot\System32\Sysprep\unattend.xml" -Force -ErrorAction SilentlyContinue
$winlogon = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
Remove-ItemProperty $winlogon -Name 'DefaultPassword', 'AutoAdminLogon' -ErrorAction SilentlyContinue
Stop-Transcript | Out-Null
$arguments = @('/generalize', '/oobe', '/shutdown', '/quiet')
if ($unattend) { $arguments += ('/unattend:"' + $unattend + '"') }
Start-Process "$env:SystemRoot\System32\Sysprep\sysprep.exe" -ArgumentList $arguments -Wait
