$d = $asked.dir
if ((Read-Word "$d\begun").Split("`n") -notcontains $asked.nonce) { Write-Text "none 0 0`n"; exit 0 }
$held = Test-Held "$d\lock"
# The code is looked at last: it is there before the lock is let go.
$code = Read-Word "$d\code"
$state = if ($code) { "end $code" } elseif ($held) { 'run' } else { 'lost' }
if ($asked.from -ge 0) { $from = [long]$asked.from; [IO.File]::WriteAllText("$d\told", [string]$from) }
else { $from = [long]('0' + (Read-Word "$d\told")) }
$file = [IO.File]::Open("$d\log", 'Open', 'Read', 'ReadWrite')
$count = [int][Math]::Max(0, [Math]::Min($file.Length - $from, $asked.most))
[void]$file.Seek($from, 'Begin')
$bytes = New-Object byte[] $count
$count = $file.Read($bytes, 0, $count)
$file.Close()
Write-Text "$state $from $count`n"
Write-Bytes $bytes $count
