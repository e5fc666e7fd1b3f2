# A volatile key is gone as soon as the system is started anew.
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\StewardBoot', [Microsoft.Win32.RegistryKeyPermissionCheck]::ReadWriteSubTree, [Microsoft.Win32.RegistryOptions]::Volatile)
$word = [string]$key.GetValue('Word')
if (-not $word) {
    $word = [Guid]::NewGuid().ToString('N')
    $key.SetValue('Word', $word)
}
$key.Close()
Write-Text $word
