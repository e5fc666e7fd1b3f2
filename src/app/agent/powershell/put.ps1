New-Folder ([IO.Path]::GetDirectoryName($asked.path))
[IO.File]::WriteAllBytes($asked.path, (New-Object byte[] 0))
Set-Private $asked.path ''
