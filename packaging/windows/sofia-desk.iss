; Inno Setup 6: the Windows installer. Called by build.py with /DVersion=... /DFolder=... /DOutput=...
; Tests say /DArchitectures= so that it can also be tried where Windows has 32 bits.
#define Name "SOFIA Desk"
#ifndef Architectures
  #define Architectures "x64compatible"
#endif

[Setup]
AppId={{6F0B3B0E-5C7C-4C39-9A86-2A1C6C0F50FA}
AppName={#Name}
AppVersion={#Version}
AppPublisher=SOFIA Desk developers
DefaultDirName={autopf}\SOFIA Desk
DefaultGroupName={#Name}
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
OutputDir={#Output}
OutputBaseFilename=SOFIA-Desk-{#Version}-Windows
Compression=lzma2/normal
SolidCompression=yes
ArchitecturesAllowed={#Architectures}
ArchitecturesInstallIn64BitMode={#Architectures}
ChangesAssociations=yes
LicenseFile={#Folder}\_internal\LICENSE
UninstallDisplayIcon={app}\SOFIA Desk.exe
WizardStyle=modern

[Tasks]
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; Flags: unchecked
Name: "associate"; Description: "Open FITS files with {#Name}"; Flags: unchecked
Name: "path"; Description: "Add the command sofia-desk to PATH"; Flags: unchecked

[InstallDelete]
; files of an older version; sessions, settings and results lie elsewhere
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "{#Folder}\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion

[Icons]
Name: "{group}\{#Name}"; Filename: "{app}\SOFIA Desk.exe"
Name: "{group}\Image viewer"; Filename: "{app}\SOFIA Desk.exe"; Parameters: "image"
Name: "{group}\Spectrum viewer"; Filename: "{app}\SOFIA Desk.exe"; Parameters: "spectrum"
Name: "{group}\Quality analysis"; Filename: "{app}\SOFIA Desk.exe"; Parameters: "quality"
Name: "{group}\Cube explorer"; Filename: "{app}\SOFIA Desk.exe"; Parameters: "cube"
Name: "{autodesktop}\{#Name}"; Filename: "{app}\SOFIA Desk.exe"; Tasks: desktopicon

[Registry]
#define Ending(Suffix) 'Root: HKA; Subkey: "Software\Classes\.' + Suffix + '\OpenWithProgids"; ValueType: string; ValueName: "SofiaDesk.fits"; ValueData: ""; Flags: uninsdeletevalue; Tasks: associate'
{#Ending("fits")}
{#Ending("fit")}
{#Ending("fts")}
Root: HKA; Subkey: "Software\Classes\SofiaDesk.fits"; ValueType: string; ValueData: "FITS file"; Flags: uninsdeletekey; Tasks: associate
Root: HKA; Subkey: "Software\Classes\SofiaDesk.fits\shell\open\command"; ValueType: string; ValueData: """{app}\SOFIA Desk.exe"" ""%1"""; Tasks: associate
Root: HKCU; Subkey: "Environment"; ValueType: expandsz; ValueName: "Path"; ValueData: "{olddata};{app}"; Tasks: path; Check: not IsOnPath

[Run]
Filename: "{app}\SOFIA Desk.exe"; Description: "{cm:LaunchProgram,{#Name}}"; Flags: nowait postinstall skipifsilent

[Code]
function IsOnPath: Boolean;
var
  Paths: String;
begin
  Result := RegQueryStringValue(HKCU, 'Environment', 'Path', Paths) and (Pos(ExpandConstant('{app}'), Paths) > 0);
end;
