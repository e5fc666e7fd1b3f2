$ProgressPreference = 'SilentlyContinue'
$ErrorActionPreference = 'Stop'
$text = @($input) -join ''
if (-not $text) { $text = [Console]::In.ReadToEnd() }
$asked = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($text.Trim())) | ConvertFrom-Json
& ([ScriptBlock]::Create($asked.code)) $asked
