$d = $asked.dir
New-Folder $d
$lock = $null
# Somebody who looks holds it for a moment.
for ($i = 0; $i -lt 30 -and -not $lock; $i++) {
    try { $lock = [IO.File]::Open("$d\lock", 'OpenOrCreate', 'ReadWrite', 'None') } catch [IO.IOException] { Start-Sleep -Milliseconds 100 }
}
if (-not $lock) {
    if ((Read-Word "$d\sum") -eq $asked.sum) {
        [IO.File]::AppendAllText("$d\begun", $asked.nonce + "`n")
        exit 0
    }
    & taskkill.exe /PID (Read-Word "$d\pid") /T /F 2>&1 | Out-Null
    Start-Sleep -Seconds 2
    $lock = [IO.File]::Open("$d\lock", 'OpenOrCreate', 'ReadWrite', 'None')
}
if ((Read-Word "$d\code") -eq '0' -and (Read-Word "$d\sum") -eq $asked.sum -and (Read-Word "$d\round") -eq $asked.round) {
    [IO.File]::AppendAllText("$d\begun", $asked.nonce + "`n")
    exit 0
}
foreach ($name in 'begun', 'code', 'told') { Remove-Item -LiteralPath "$d\$name" -Force -ErrorAction SilentlyContinue }
[IO.File]::WriteAllText("$d\sum", $asked.sum)
[IO.File]::WriteAllText("$d\round", $asked.round)
[IO.File]::WriteAllText("$d\pid", [string]$PID)
$log = New-Object IO.StreamWriter((New-Object IO.FileStream("$d\log", 'Create', 'Write', 'ReadWrite')), $utf8)
$log.AutoFlush = $true
[IO.File]::WriteAllText("$d\begun", $asked.nonce + "`n")
$global:LASTEXITCODE = 0
try {
    & ([ScriptBlock]::Create($asked.script)) | Out-String -Stream -Width 400 | ForEach-Object { $log.WriteLine($_.TrimEnd()) }
    $code = [int]$global:LASTEXITCODE
} catch {
    $log.WriteLine([string]$_)
    $code = 1
}
$log.Close()
[IO.File]::WriteAllText("$d\end", [string]$code)
[IO.File]::Move("$d\end", "$d\code")
exit 0
