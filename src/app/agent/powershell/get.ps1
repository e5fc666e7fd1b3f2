if (-not (Test-Path -LiteralPath $asked.path -PathType Leaf)) { exit 44 }
$file = [IO.File]::Open($asked.path, 'Open', 'Read', 'ReadWrite')
$bytes = New-Object byte[] ([int][Math]::Min($file.Length, 262144))
$count = $file.Read($bytes, 0, $bytes.Length)
$file.Close()
Write-Bytes $bytes $count
