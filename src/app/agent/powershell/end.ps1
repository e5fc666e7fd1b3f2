$d = $asked.dir
if (-not (Test-Path -LiteralPath $d)) { exit 0 }
foreach ($one in Get-ChildItem -LiteralPath $d -Directory) {
    $path = $one.FullName
    if (Test-Held "$path\lock") { & taskkill.exe /PID (Read-Word "$path\pid") /T /F 2>&1 | Out-Null }
}
Start-Sleep -Seconds 1
Remove-Item -LiteralPath $d -Recurse -Force
