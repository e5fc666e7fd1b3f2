$Given = [string]$asked.input
$left = 262144
$failed = $null
$global:LASTEXITCODE = 0
try {
    & ([ScriptBlock]::Create($asked.script)) | Out-String -Stream -Width 400 | ForEach-Object {
        $line = $utf8.GetBytes($_.TrimEnd() + "`n")
        if ($left -gt 0) { Write-Bytes $line ([Math]::Min($left, $line.Length)) }
        $left -= $line.Length
    }
    $code = [int]$global:LASTEXITCODE
} catch {
    $failed = $_
    $code = 1
}
if ($failed) {
    $stderr = [Console]::OpenStandardError()
    $line = $utf8.GetBytes([string]$failed + "`n")
    $stderr.Write($line, 0, $line.Length)
    $stderr.Flush()
}
if ($left -lt 0 -and $code -eq 0) { exit 4097 }
exit $code
