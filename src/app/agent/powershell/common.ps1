param($asked)
$utf8 = New-Object Text.UTF8Encoding($false)
$stdout = [Console]::OpenStandardOutput()
function Write-Bytes([byte[]]$bytes, [int]$count) { $stdout.Write($bytes, 0, $count); $stdout.Flush() }
function Write-Text([string]$text) { $bytes = $utf8.GetBytes($text); Write-Bytes $bytes $bytes.Length }
function Test-Held([string]$path) {
    try { [IO.File]::Open($path, 'OpenOrCreate', 'ReadWrite', 'None').Close(); $false } catch [IO.IOException] { $true }
}
function Read-Word([string]$path) { if (Test-Path -LiteralPath $path) { ([IO.File]::ReadAllText($path)).Trim() } else { '' } }
function Set-Private([string]$path, [string]$flags) {
    & icacls.exe $path /inheritance:r /grant:r "*S-1-5-18:${flags}F" "*S-1-5-32-544:${flags}F" | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "The rights of $path could not be set." }
}
function New-Folder([string]$path) {
    $root = Join-Path $env:ProgramData 'Steward'
    $ours = $path -eq $root -or $path.StartsWith($root + '\', [StringComparison]::OrdinalIgnoreCase)
    if ($ours -and -not (Test-Path -LiteralPath $root)) {
        [void][IO.Directory]::CreateDirectory($root)
        Set-Private $root '(OI)(CI)'
    }
    [void][IO.Directory]::CreateDirectory($path)
}
